import { type Field, scalar, textLike } from '../core/field.ts';

/** Nothing that ssh or git takes an address from may begin with a dash: it would be read as an option. */
export const hostName: Field<string> = textLike(
  'a host name or an IP address',
  /^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$/,
);

export const userName: Field<string> = textLike('a user name', /^[A-Za-z_][A-Za-z0-9_.@-]*\$?$/);

/** The Host header: a name, with a port if need be. */
export const hostHeader: Field<string> = textLike(
  "a host name such as 'www.example.org'",
  /^[A-Za-z0-9[_][\w.:[\]-]*$/,
);

export const jumpHost: Field<string> = textLike(
  "a machine to jump through, as 'user@host:port'",
  /^([A-Za-z_][\w.-]*@)?[A-Za-z0-9_[][\w.:[\]%-]*$/,
);

/** The path of a URL, with a query if need be; no spaces, for it stands in the first line of the request. */
export const urlPath: Field<string> = textLike("a path that begins with '/'", /^\/[^\s\p{Cc}]*$/u);

/** Where a web server is asked, without a path: that is each question's own. */
export const httpOrigin: Field<string> = textLike(
  "an address such as 'https://lb1.example.org'",
  /^https?:\/\/([A-Za-z0-9][\w.-]*|\[[\da-fA-F:.]+\])(:\d{1,5})?$/,
);

/**
 * What git can fetch from. `ext::` and `fd::` addresses run commands, and an address that begins with a dash is an
 * option: neither is a place.
 */
export const gitUrl: Field<string> = scalar(
  'a git URL or path',
  { type: 'string', pattern: '^[^-\\s]' },
  (value) =>
    typeof value === 'string' && /^[^-\s][^\p{Cc}]*$/u.test(value) && !/^\w[\w+.-]*::/.test(value)
      ? value
      : undefined,
);

/** By git's own rules of names (git-check-ref-format), as far as they keep out what is not a name. */
export const gitRef: Field<string> = textLike(
  'a branch, tag or commit',
  /^(?![-./])(?!.*(\.\.|@\{|\/\/))[^\s\p{Cc}~^:?*[\\]+$/u,
);
