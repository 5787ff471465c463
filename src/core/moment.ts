/** What people and other programs are told of a run: that it begins, waits for a person, or how it ended. */
export const moments = ['start', 'hold', 'failure', 'rollback', 'success'] as const;
export type Moment = (typeof moments)[number];
