#!/bin/sh
# Installs what the benchmark needs on a bare Debian, beside what the system tests need: the site, the tools that sluice
# is held against, and the servers that the site runs on.
set -eu
exec "$(dirname "$0")/../lab/install.sh" wordpress capistrano ansible nginx-light php-fpm rsync time
