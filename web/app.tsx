import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { TableOptions } from 'tablewalk/session';
import { Client, WorkerError } from './client.ts';
import { MapView } from './map/map-view.tsx';
import { ErrorText } from './parts/error-text.tsx';
import { ProgressBar } from './parts/progress-bar.tsx';
import { Tabs } from './parts/tabs.tsx';
import { Toolbar } from './parts/toolbar.tsx';
import type { Attempt, Image, ImageSource, Progress, Tables } from './protocol.ts';
import { loadSample } from './samples.ts';
import { servedImage } from './served.ts';
import { PANELS, type Panel, START, usePlace } from './state.ts';
import { FindView } from './views/find.tsx';
import { ImageView } from './views/image.tsx';
import { Opener } from './views/opener.tsx';
import type { PanelProps } from './views/panel.ts';
import { RegionsView } from './views/regions.tsx';
import { RegistersForm } from './views/registers-form.tsx';
import { TableView } from './views/table.tsx';
import { TryView } from './views/try.tsx';
import { TryBar } from './views/try-bar.tsx';
import { WalkView } from './views/walk.tsx';
import ExplorerWorker from './worker/main.ts?worker&inline';

const PANEL_NAMES: Readonly<Record<Panel, string>> = {
  walk: 'Walk',
  table: 'Table',
  regions: 'Regions',
  find: 'Find',
  try: 'Try it',
  image: 'Image',
};

/** What the page is at. */
type Stage =
  | { readonly kind: 'start' }
  | { readonly kind: 'busy'; readonly name: string }
  /** The image is open, and more must be known to read its tables. */
  | { readonly kind: 'asks'; readonly image: Image; readonly why: WorkerError }
  | { readonly kind: 'open'; readonly image: Image; readonly tables: Tables };

/** The explorer. */
export function App() {
  const client = useMemo(() => new Client(() => new ExplorerWorker()), []);
  const [place, go] = usePlace();
  const [stage, setStage] = useState<Stage>({ kind: 'start' });
  const [error, setError] = useState<unknown>();
  const [progress, setProgress] = useState<Progress | undefined>();
  const [attempt, setAttempt] = useState<Attempt | undefined>();
  const [version, setVersion] = useState(0);
  /** What was opened last, so that a stopped worker can be given it again. */
  const source = useRef<ImageSource>(undefined);
  /** The sample that is open or on its way, and how often something was begun: what is overtaken is dropped. */
  const sample = useRef<string>(undefined);
  const turn = useRef(0);
  client.onProgress = setProgress;

  const begin = useCallback((name: string) => {
    turn.current += 1;
    const mine = turn.current;
    setError(undefined);
    setStage({ kind: 'busy', name });
    return () => turn.current === mine;
  }, []);

  const fail = useCallback((thrown: unknown) => {
    setError(thrown);
    setStage({ kind: 'start' });
  }, []);

  const choose = useCallback(
    async (image: Image, options: TableOptions) => {
      const isLast = begin(image.name);
      try {
        const tables = await client.call('choose', options);
        if (!isLast()) return;
        setAttempt(undefined);
        setStage({ kind: 'open', image, tables });
        setVersion((one) => one + 1);
      } catch (thrown) {
        if (!isLast()) return;
        if (!(thrown instanceof WorkerError) || thrown.code === 'STOPPED') fail(thrown);
        else setStage({ kind: 'asks', image, why: thrown });
      }
    },
    [client, begin, fail],
  );

  const open = useCallback(
    async (image: ImageSource, options: TableOptions) => {
      const isLast = begin(image.name);
      source.current = image;
      try {
        const opened = await client.call('open', image);
        if (isLast()) await choose(opened, options);
      } catch (thrown) {
        if (isLast()) fail(thrown);
      }
    },
    [client, begin, choose, fail],
  );

  const openSample = useCallback(
    async (name: string, options: TableOptions = {}) => {
      sample.current = name;
      const isLast = begin(name);
      try {
        const image = await loadSample(name);
        if (isLast()) await open(image, options);
      } catch (thrown) {
        if (isLast()) fail(thrown);
      }
    },
    [begin, open, fail],
  );

  // What the URL or the command names is opened at once.
  useEffect(() => {
    const served = servedImage();
    if (served === undefined) return;
    sample.current = place.sample;
    void open(served.image, { ...served.options, ...place.options });
  }, []);

  // A step in the history may lead to another sample, or to none.
  useEffect(() => {
    if (place.sample === sample.current) return;
    if (place.sample !== undefined) void openSample(place.sample, place.options);
    else leave();
  }, [place.sample]);

  useEffect(() => {
    client.onLost = () => {
      turn.current += 1;
      fail(new WorkerError('STOPPED', 'stopped: the file is closed; open it again'));
    };
  }, [client, fail]);

  // The scratch copy follows the URL.
  const tryKey = JSON.stringify(place.changes, (_, value: unknown) => value);
  const applied = useRef('[]');
  const attempting = useRef<AbortController>(undefined);
  useEffect(() => {
    if (stage.kind !== 'open') {
      applied.current = '[]';
      return;
    }
    if (applied.current === tryKey) return;
    applied.current = tryKey;
    // What came before is given up: nobody waits for it.
    attempting.current?.abort();
    const controller = new AbortController();
    const { signal } = controller;
    attempting.current = controller;
    client.callUntil(signal, 'attempt', place.changes).then(
      (result) => {
        if (signal.aborted) return;
        setError(undefined);
        setAttempt(place.changes.length === 0 ? undefined : result);
        setVersion((one) => one + 1);
      },
      (thrown: unknown) => !signal.aborted && setError(thrown),
    );
  }, [tryKey, stage.kind]);

  const take = (file: File, more: Partial<ImageSource> = {}) => {
    // Another file: nothing that was looked at in the one before is in it.
    sample.current = undefined;
    if (place.sample !== undefined || stage.kind === 'open') go({ ...START });
    void open({ name: file.name, blob: file, ...more }, {});
  };
  const takeSample = (name: string) => {
    go({ ...START, sample: name });
    void openSample(name);
  };
  const leave = () => {
    client.stop();
    sample.current = undefined;
    turn.current += 1;
    setStage({ kind: 'start' });
    setError(undefined);
  };
  const close = () => {
    leave();
    go({ ...START });
  };

  useDrop(take);
  const opened = stage.kind === 'open' ? stage : undefined;
  const tables = opened === undefined ? undefined : (attempt?.tables ?? opened.tables);
  return (
    <>
      <Toolbar
        title={opened?.image.name}
        about={tables?.spaces.map(({ text }) => text) ?? []}
        place={place}
        go={go}
        close={stage.kind === 'start' ? undefined : close}
      />
      <main>
        <ErrorText error={error} />
        {progress !== undefined && <ProgressBar progress={progress} stop={() => client.stop()} />}
        {stage.kind === 'start' && <Opener take={take} takeSample={takeSample} failed={error} />}
        {stage.kind === 'busy' && progress === undefined && <p role="status">Opening {stage.name} …</p>}
        {stage.kind === 'asks' && (
          <RegistersForm
            image={stage.image}
            why={stage.why}
            options={place.options}
            submit={(options) => {
              go({ options }, true);
              void choose(stage.image, options);
            }}
            submitRegisters={(registers) =>
              source.current && void open({ ...source.current, registers }, place.options)
            }
          />
        )}
        {opened !== undefined && tables !== undefined && (
          <>
            <MapView
              spaces={tables.spaces}
              atlases={tables.atlases}
              place={place}
              go={go}
              title={opened.image.name}
            />
            <TryBar attempt={attempt} failed={error !== undefined} place={place} go={go} />
            <Tabs
              label="What is looked at"
              tabs={PANELS.map((panel) => ({ id: panel, name: PANEL_NAMES[panel] }))}
              chosen={place.panel}
              choose={(panel) => go({ panel })}
            >
              <PanelOf
                client={client}
                image={opened.image}
                tables={tables}
                version={version}
                attempt={attempt}
                place={place}
                go={go}
              />
            </Tabs>
          </>
        )}
      </main>
    </>
  );
}

function PanelOf(props: PanelProps) {
  switch (props.place.panel) {
    case 'walk':
      return <WalkView {...props} />;
    case 'table':
      return <TableView {...props} />;
    case 'regions':
      return <RegionsView {...props} />;
    case 'find':
      return <FindView {...props} />;
    case 'try':
      return <TryView {...props} />;
    case 'image':
      return <ImageView {...props} />;
  }
}

/** A file may be dropped anywhere on the page. */
function useDrop(take: (file: File) => void): void {
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault();
      document.body.classList.add('dropping');
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) document.body.classList.remove('dropping');
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      document.body.classList.remove('dropping');
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) latest.current(file);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
}
