// Runs `sluice` over and over in one process, each time from the first line of the program: what that loads is loaded
// already. It ends with its parent.
const program = process.argv[2];
let runs = 0;

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', async ({ args, cwd }) => {
  const seen = { stdout: '', stderr: '', output: '' };
  for (const stream of ['stdout', 'stderr'])
    process[stream].write = (text, ...more) => {
      seen[stream] += text;
      seen.output += text;
      more.at(-1)?.();
      return true;
    };
  process.exit = (exit) => process.send({ exit, ...seen });
  process.argv = [process.execPath, program, ...args];
  process.chdir(cwd);
  runs += 1;
  await import(`${program}?run=${runs}`);
});
