import { failure } from '../../core/errors.ts';
import { suggestion } from '../../core/nearest.ts';
import { differencesListing, imagesText, manifestListing } from '../../reporters/images-text.ts';
import { type Call, type Command, json, onSite, siteOf, type Work } from '../call.ts';

/** What is asked of a seed server or its store; the first word says what, then come the stage and images. */
export const seedCommand: Command = async (call) => {
  const [word = '', stage = '', ...named] = call.words;
  const action = Object.hasOwn(actions, word) ? actions[word as keyof typeof actions] : null;
  if (!action) {
    const known = Object.keys(actions);
    const problem = `expected ${known.slice(0, -1).join(', ')} or ${known.at(-1)}, got ${JSON.stringify(word)}${suggestion(word, known)}`;
    throw failure('USAGE', { problem });
  }
  if (named.length !== action.images) {
    const problem = `sluice seed ${word} takes ${action.takes} after the stage, got ${named.length}`;
    throw failure('USAGE', { problem });
  }
  const onStage = { ...call, words: [stage] };
  return onSite(onStage, await siteOf(onStage), (work) => action.run(call, work, named));
};

interface Action {
  /** How many it takes. */
  readonly images: number;
  readonly takes: string;
  readonly run: (call: Call, work: Work, images: readonly string[]) => Promise<0 | 1>;
}

const actions = {
  build: {
    images: 0,
    takes: 'nothing',
    async run(call, { site, ports, engine }) {
      const image = await engine.buildImage(site, ports, {
        ref: call.flags.ref ?? null,
        signal: call.environment.signal,
      });
      return print(call, image, `Image ${image.name} of ${image.from}: ${image.files} files.\n`);
    },
  },
  list: {
    images: 0,
    takes: 'nothing',
    async run(call, { ports, engine }) {
      const images = await engine.imagesOf(ports).list();
      return print(call, images, imagesText(images));
    },
  },
  show: {
    images: 1,
    takes: 'an image',
    async run(call, { ports, engine }, [image = '']) {
      const images = engine.imagesOf(ports);
      const manifest = await images.read(await ports.source.resolve(image));
      return print(call, manifest, manifestListing(manifest));
    },
  },
  diff: {
    images: 2,
    takes: 'two images, or an image and a node such as node:web3,',
    async run(call, { site, ports, engine }, [from = '', to = '']) {
      const { signal } = call.environment;
      const found = await engine.compareImages(site, ports, { from, to, signal });
      return print(call, found, differencesListing(found));
    },
  },
  verify: {
    images: 1,
    takes: 'an image',
    async run(call, { ports, engine }, [image = '']) {
      const images = engine.imagesOf(ports);
      const name = await ports.source.resolve(image);
      const damaged = await images.verify(name);
      const text =
        damaged.length === 0
          ? `Image ${name} is as it was captured.\n`
          : damaged.map((path) => `damaged: ${path}\n`).join('');
      print(call, { name, damaged }, text);
      return damaged.length === 0 ? 0 : 1;
    },
  },
  prune: {
    images: 0,
    takes: 'nothing',
    async run(call, { site, ports, engine }) {
      const gone = await engine.pruneImages(site, ports, call.environment.signal);
      const text = gone.map(({ name }) => `deleted ${name}\n`).join('');
      return print(call, gone, text === '' ? 'Every image is needed.\n' : text);
    },
  },
} as const satisfies Readonly<Record<string, Action>>;

function print({ environment: { stdout }, flags }: Call, value: unknown, text: string): 0 {
  stdout.write(flags.json ? json(value) : text);
  return 0;
}
