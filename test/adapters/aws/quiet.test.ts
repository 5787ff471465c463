import { expect, test } from 'vitest';
import { quieten } from '../../../src/adapters/aws/quiet.ts';

const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

test("the SDK's notice of the next Node.js is off, unless somebody wants it", () => {
  const [plain, wanted] = [{} as NodeJS.ProcessEnv, { [name]: 'false' }];
  quieten(plain);
  quieten(wanted);
  expect([plain[name], wanted[name]]).toEqual(['true', 'false']);
});
