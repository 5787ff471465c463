import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './port.ts';

export interface RunningMoto {
  readonly endpoint: string;
  /** The ids of what exists from the start, or of what was made. */
  subnets(): Promise<readonly string[]>;
  vpc(): Promise<string>;
  runInstances(count: number): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Starts moto, as test/lab/install-moto.sh installs it; it answers when this resolves, within 60 s or it rejects. */
export async function startMoto(): Promise<RunningMoto> {
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache');
  const program = join(cache, 'sluice-lab/moto-5.2.5/bin/moto_server');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const ec2 = async (question: string, element: string): Promise<readonly string[]> => {
    const answer = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization:
          'AWS4-HMAC-SHA256 Credential=any/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0',
      },
      body: `Version=2016-11-15&${question}`,
    });
    return [...(await answer.text()).matchAll(new RegExp(`<${element}>(.*?)<`, 'g'))].map(
      (match) => match[1]!,
    );
  };
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
  };
  for (let attempt = 0; ; attempt++) {
    const isUp = await fetch(`${endpoint}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) break;
    if (attempt === 300 || child.exitCode !== null) {
      await stop();
      throw new Error(`${program} did not start`);
    }
    await sleep(200);
  }
  return {
    endpoint,
    subnets: () => ec2('Action=DescribeSubnets', 'subnetId'),
    vpc: async () => (await ec2('Action=DescribeVpcs', 'vpcId'))[0]!,
    runInstances: (count) =>
      ec2(`Action=RunInstances&ImageId=ami-12c6146b&MinCount=${count}&MaxCount=${count}`, 'instanceId'),
    stop,
  };
}
