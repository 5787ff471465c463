/** How long what is due is waited for, on a machine that may have much else to do: for `vi.waitFor` and `expect.poll`. */
export const patience = { timeout: 30_000, interval: 20 } as const;
