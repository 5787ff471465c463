/** What a page of documentation tells its reader to do, in its order. */
export interface Instruction {
  /** Of the section that it stands in. */
  readonly heading: string;
  /** The file that the text is to be written to; null: the text is a script. */
  readonly file: string | null;
  readonly text: string;
}

/**
 * The code blocks of a page: those marked `sh` are scripts; others are files, if the paragraph before begins with a path
 * in backquotes. Anything else is there to be read.
 */
export function instructionsOf(markdown: string): readonly Instruction[] {
  return markdown.split(/^## /m).flatMap((section) => {
    const heading = section.split('\n', 1)[0]!;
    return [
      ...section.matchAll(/^(?:(?<before>.+(?:\n.+)*)\n\n)?```(?<kind>\w*)\n(?<text>[\s\S]*?)^```/gm),
    ].flatMap(({ groups }): readonly Instruction[] => {
      const { before = '', kind, text = '' } = groups!;
      const file = /^`(\/\S+)`/.exec(before)?.[1] ?? null;
      return kind === 'sh' || file !== null ? [{ heading, file, text }] : [];
    });
  });
}
