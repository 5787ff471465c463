<?php
// Shows the commit of the code that runs. It loads WordPress, so it fails if the database or a plugin does.
require __DIR__ . '/wp-load.php';
header('Content-Type: text/plain');
nocache_headers();
echo trim(file_get_contents(__DIR__ . '/REVISION'));
