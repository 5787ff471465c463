import { PassThrough, Transform } from 'node:stream';

/**
 * How one of several sandbox nodes sees the machine that they share: as its own. What all nodes know by one path or
 * port is another one for each behind it.
 */
export interface MachineView {
  /** The path as the node calls it, and where it really is: both absolute, of characters that no shell changes. */
  readonly path: { readonly seen: string; readonly real: string };
  readonly port: { readonly seen: number; readonly real: number };
}

/** A command with real paths. */
export const realCommand = (command: string, view?: MachineView): string =>
  view ? command.replaceAll(view.path.seen, view.path.real) : command;

export const realPort = (port: number, view?: MachineView): number =>
  port === view?.port.seen ? view.port.real : port;

/** Takes what a command writes, and gives it on line by line with the paths that the node sees. */
export function seenOutput(view?: MachineView): Transform {
  if (!view) return new PassThrough();
  const { path } = view;
  let rest = '';
  const seen = (text: string) => Buffer.from(text.replaceAll(path.real, path.seen), 'latin1');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = rest + chunk.toString('latin1');
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      done(null, seen(text.slice(0, end)));
    },
    flush(done) {
      done(null, seen(rest));
    },
  });
}
