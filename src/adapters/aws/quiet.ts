/**
 * AWS's SDK says at every start which Node.js it will want next year. On the screen of a deploy that is noise; who installs
 * the SDK sees it there. Called before a client is made.
 */
export function quieten(env: NodeJS.ProcessEnv = process.env): void {
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
}
