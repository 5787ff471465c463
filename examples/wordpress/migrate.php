<?php
// Brings the database to this code: installs an empty blog the first time, and updates its tables from then on.
if (PHP_SAPI !== 'cli') {
    exit;
}
define('WP_INSTALLING', true);
// The mail about a new blog would tell its password.
function wp_new_blog_notification() {}
require __DIR__ . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

if (is_blog_installed()) {
    wp_upgrade();
} else {
    wp_install('Blog', 'admin', 'admin@example.org', true);
}
if (__get_option('db_version') != $wp_db_version) {
    fwrite(STDERR, "the database is not that of WordPress $wp_version\n");
    exit(1);
}
