import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../lab/lab.ts';
import { deployUser, type LabNode } from '../lab/nodes.ts';
import { onNode } from '../lab/ssh.ts';

/** Where the web servers of a node keep what is theirs, as the node sees it. */
const home = `/home/${deployUser.name}/web`;

/** What a deploy runs once `current` is switched: PHP-FPM starts anew and forgets the code that it has compiled. */
export const reload: readonly string[] = [`${home}/reload`];

/** A site on a node: what stands in /srv/<name>/current is served at its port. */
export interface WebSite {
  readonly name: string;
  readonly port: number;
}

/**
 * Starts nginx and PHP-FPM on a node as its deploy user. PHP looks at a file once and never again, as is usual in
 * production, so a new release is not seen before the reload. `/health` is the site's health.php.
 */
export async function startWeb(lab: Lab, node: LabNode, sites: readonly WebSite[]): Promise<void> {
  const folder = join(lab.folder, node.name, home);
  await mkdir(folder);
  const files: Readonly<Record<string, string>> = {
    'nginx.conf': nginxConfig(node.address, sites),
    'php-fpm.conf': phpConfig,
    reload: `#!/bin/sh\nexec kill -USR2 "$(cat ${home}/php-fpm.pid)"\n`,
  };
  for (const [name, text] of Object.entries(files))
    await writeFile(join(folder, name), text, { mode: 0o755 });
  await chown(folder, deployUser.uid, deployUser.uid);
  await onNode(
    lab,
    node,
    `set -e
    set -- /usr/sbin/php-fpm[0-9]*
    "$1" -d opcache.lockfile_path=${home} -D -y ${home}/php-fpm.conf
    /usr/sbin/nginx -e ${home}/nginx.log -c ${home}/nginx.conf`,
  );
}

const nginxConfig = (address: string, sites: readonly WebSite[]): string => `
pid ${home}/nginx.pid;
worker_processes 1;
events {}
http {
  access_log off;
  include /etc/nginx/mime.types;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${home}/${kind};`).join('\n')}
${sites.map((site) => serverConfig(address, site)).join('')}}
`;

const serverConfig = (address: string, { name, port }: WebSite): string => `  server {
    listen ${address}:${port};
    root /srv/${name}/current;
    rewrite ^/health$ /health.php;
    location ~ \\.php$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:${home}/php-fpm.sock;
    }
  }
`;

/** A reload lets requests in flight end. */
const phpConfig = `[global]
pid = ${home}/php-fpm.pid
error_log = ${home}/php-fpm.log
process_control_timeout = 10
[www]
listen = ${home}/php-fpm.sock
pm = static
pm.max_children = 2
php_admin_value[opcache.validate_timestamps] = 0
`;
