import { styleText } from 'node:util';

/** How a word is meant; without colour all of them leave it as it is. */
export type Paint = Readonly<Record<keyof typeof styles, (text: string) => string>>;

const styles = {
  good: 'green',
  bad: 'red',
  warn: 'yellow',
  dim: 'dim',
  strong: 'bold',
} as const;

/** `colour` is decided by the caller, from its stream: styleText is told not to look at the process's own. */
export function paintWith(colour: boolean): Paint {
  const painter = (style: (typeof styles)[keyof typeof styles]) => (text: string) =>
    colour && text !== '' ? styleText(style, text, { validateStream: false }) : text;
  return {
    good: painter(styles.good),
    bad: painter(styles.bad),
    warn: painter(styles.warn),
    dim: painter(styles.dim),
    strong: painter(styles.strong),
  };
}

/** A terminal that did not say no (https://no-color.org: any value but the empty one). */
export const wantsColour = (isTTY: boolean, noColor: string | undefined): boolean =>
  isTTY && (noColor === undefined || noColor === '');
