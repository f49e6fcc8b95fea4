import { useEffect, useRef, useState } from 'preact/hooks';
import type { TableOptions } from 'tablewalk/session';
import { type Client, WorkerError } from './client.ts';
import type { Image, ImageSource, Tables } from './protocol.ts';
import { loadSample } from './samples.ts';
import { servedImage } from './served.ts';
import { type Go, type Place, START } from './state.ts';

/** What the page is at. */
export type Stage =
  | { readonly kind: 'start' }
  /** The image is open, and more must be known to read its tables. */
  | { readonly kind: 'asks'; readonly image: Image; readonly why: WorkerError }
  | {
      readonly kind: 'open';
      readonly image: Image;
      readonly tables: Tables;
      /** Grows with each image, and with each choice of its tables. */
      readonly version: number;
    };

/** What went wrong, and with what. */
export interface Told {
  readonly title?: string;
  readonly error: unknown;
}

/** The image that is open, and the ways to another. */
export interface OpenedImage {
  readonly stage: Stage;
  /** Name of what is being opened; until it is, the stage stays. */
  readonly opening: string | undefined;
  readonly told: Told | undefined;
  /** Has read what is told. */
  dismiss(): void;
  take(file: File, more?: Partial<ImageSource>): void;
  takeSample(name: string): void;
  /** Reads tables with what an image does not hold. */
  choose(options: TableOptions): void;
  /** Opens the same image with registers, and gives what is wrong with them, if anything is. */
  giveRegisters(text: string): Promise<unknown>;
  close(): void;
}

/** Opens what the place names, what the command serves, and what the reader gives. */
export function useImage(client: Client, place: Place, go: Go): OpenedImage {
  const [stage, setStage] = useState<Stage>({ kind: 'start' });
  const [opening, setOpening] = useState<string | undefined>();
  const [told, setTold] = useState<Told | undefined>();
  /** What the worker has. */
  const source = useRef<ImageSource>(undefined);
  /** What the command was given for it besides. */
  const served = useRef<TableOptions>({});
  /** The sample and the options that are open or on their way. */
  const sample = useRef<string>(undefined);
  const chosen = useRef(optionsKey({}));
  /** How often something was begun: what is overtaken is dropped. */
  const turn = useRef(0);
  const version = useRef(0);
  /** Whether the image was closed, and no other has come. */
  const isLeft = useRef(true);

  const begin = (name: string | undefined) => {
    turn.current += 1;
    const mine = turn.current;
    setTold(undefined);
    setOpening(name);
    return () => turn.current === mine;
  };
  const end = (wrong?: Told) => {
    setOpening(undefined);
    setTold(wrong);
  };

  const choose = async (image: Image, options: TableOptions) => {
    const isLast = begin(image.name);
    chosen.current = optionsKey(options);
    try {
      const tables = await client.call('choose', { ...served.current, ...options });
      if (!isLast()) return false;
      version.current += 1;
      setStage({ kind: 'open', image, tables, version: version.current });
      end();
      return true;
    } catch (thrown) {
      if (!isLast()) return false;
      if (thrown instanceof WorkerError && thrown.code !== 'STOPPED') {
        setStage({ kind: 'asks', image, why: thrown });
        end();
      } else {
        setStage((now) => (now.kind === 'asks' ? now : { kind: 'start' }));
        end({ error: thrown });
      }
      return false;
    }
  };

  /** Until the worker has the image, it keeps the one before, and the page shows it. */
  const open = async (image: ImageSource, options: TableOptions, arrive: (isLast: boolean) => void) => {
    const isLast = begin(image.name);
    try {
      const opened = await client.call('open', image);
      isLeft.current = false;
      source.current = image;
      arrive(isLast());
      if (isLast()) await choose(opened, options);
    } catch (thrown) {
      if (isLast()) return thrown;
    }
    return undefined;
  };
  /** The same for another image than the one that is open. */
  const openOther = async (image: ImageSource, options: TableOptions, arrive = () => {}) => {
    const kept = stage.kind === 'start' ? '.' : '; what is open stays.';
    const thrown = await open(image, options, (isLast) => {
      setStage({ kind: 'start' });
      if (isLast) arrive();
    });
    if (thrown !== undefined) end({ title: `${image.name} was not opened${kept}`, error: thrown });
  };

  const openSample = async (name: string, options: TableOptions = {}) => {
    sample.current = name;
    served.current = {};
    chosen.current = optionsKey(options);
    setStage({ kind: 'start' });
    const isLast = begin(name);
    try {
      const image = await loadSample(name);
      if (isLast()) await openOther(image, options);
    } catch (thrown) {
      if (isLast()) end({ error: thrown });
    }
  };

  const leave = () => {
    isLeft.current = true;
    client.stop();
    sample.current = undefined;
    begin(undefined);
    setStage({ kind: 'start' });
  };

  // What the command serves is opened at once.
  useEffect(() => {
    const found = servedImage();
    if (found === undefined) return;
    sample.current = place.sample;
    served.current = found.options;
    void openOther(found.image, place.options);
  }, []);

  // A step in the history may lead to another sample, to none, or to other options.
  const key = optionsKey(place.options);
  useEffect(() => {
    if (place.sample !== sample.current) {
      if (place.sample !== undefined) void openSample(place.sample, place.options);
      else leave();
    } else if (stage.kind !== 'start' && key !== chosen.current) {
      if (stage.kind === 'open') setStage({ kind: 'start' });
      void choose(stage.image, place.options);
    }
  }, [place.sample, key]);

  useEffect(() => {
    client.onLost = (why) => {
      // The reader closed it: another may be on its way.
      if (isLeft.current) return;
      begin(undefined);
      setStage({ kind: 'start' });
      setTold({ error: new WorkerError(why.code, `${why.message}: the file is closed; open it again`) });
    };
  }, [client]);

  return {
    stage,
    opening,
    told,
    dismiss: () => setTold(undefined),
    take(file, more = {}) {
      // Nothing that was looked at in the image before is in this one; but a link is for the file that is opened then.
      const isOther = place.sample !== undefined || stage.kind !== 'start';
      void openOther({ name: file.name, blob: file, ...more }, isOther ? {} : place.options, () => {
        sample.current = undefined;
        served.current = {};
        if (!isOther) return;
        chosen.current = optionsKey({});
        go({ ...START });
      });
    },
    takeSample(name) {
      go({ ...START, sample: name });
      void openSample(name);
    },
    async choose(options) {
      // Going back from the tables leads to the question.
      if (stage.kind !== 'start' && (await choose(stage.image, options))) go({ options });
    },
    async giveRegisters(registers) {
      if (source.current === undefined) return undefined;
      const thrown = await open({ ...source.current, registers }, place.options, () => {});
      if (thrown !== undefined) end();
      return thrown;
    },
    close() {
      leave();
      go({ ...START });
    },
  };
}

/** The same for the same options, in whatever order. */
function optionsKey(options: TableOptions): string {
  return JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}
