import { createRequire } from 'node:module';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Rules of axe-core that count. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Milliseconds that anything in the page may take. */
const PATIENCE = 15_000;

/** Names of the panels, as their tabs say them. */
export const TABS = ['Walk', 'Table', 'Regions', 'Find', 'Try it', 'Image'];

/** Where the reader's own pages are: width and height in CSS pixels. */
export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 390, height: 844 };

/** A page with the explorer. What no reader may ever see (errors, requests that leave) is gathered until it is closed. */
export class ExplorerPage {
  page;
  #context;
  #touches;
  #problems = [];

  /**
   * Opens the page.
   *
   * @param url - of `index.html`, with a fragment or not
   * @param options.touch - whether it has a touch screen
   * @param options.axe - whether {@link violations} will be asked for
   * @param options.prepare - runs in the page before its own scripts
   */
  static async open(
    browser,
    url,
    { size = WIDE, theme = 'light', axe = false, touch = false, prepare } = {},
  ) {
    const one = new ExplorerPage();
    one.#context = await browser.newContext({
      viewport: size,
      colorScheme: theme,
      acceptDownloads: true,
      hasTouch: touch,
    });
    one.#context.setDefaultTimeout(PATIENCE);
    one.page = await one.#context.newPage();
    if (axe) await one.page.addInitScript({ path: AXE });
    if (prepare !== undefined) await one.page.addInitScript(prepare);
    one.#watch(new URL(url));
    await one.page.goto(url);
    return one;
  }

  /** Closes the page; throws if something was wrong while it was open. */
  async close() {
    await this.#context.close();
    if (this.#problems.length > 0) throw new Error(this.#problems.join('; '));
  }

  /** Opens a sample by its button. */
  async sample({ title, name }) {
    await this.page.getByRole('button', { name: new RegExp(`^${title}\\b`) }).click();
    await this.drawn(name);
  }

  /** Waits until a map is drawn: until its canvas is of more than a few colours. Returns how many there are. */
  async drawn(name = '') {
    await this.map.and(this.page.getByLabel(name)).waitFor();
    const colours = await this.page.waitForFunction(() => {
      const canvas = document.querySelector('.map canvas');
      if (!(canvas instanceof HTMLCanvasElement) || canvas.width === 0) return 0;
      // A copy: reading the map's own canvas would change how the browser keeps it.
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {
        willReadFrequently: true,
      });
      copy.drawImage(canvas, 0, 0);
      const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set(new Uint32Array(data.buffer));
      return seen.size > 3 ? seen.size : 0;
    });
    return colours.jsonValue();
  }

  /** The map's canvas. */
  get map() {
    return this.page.getByRole('application', { name: /^Map of/ });
  }

  /** The part of the scale that the map shows. */
  async view() {
    const [from, to] = await this.map.evaluate(({ dataset }) => [Number(dataset.from), Number(dataset.to)]);
    return { from, to };
  }

  /** Waits until the map shows something else than before. */
  async viewOtherThan({ from, to }) {
    await this.page.waitForFunction(
      ([before, after]) => {
        const { dataset } = document.querySelector('.map canvas') ?? {};
        return dataset !== undefined && (dataset.from !== before || dataset.to !== after);
      },
      [String(from), String(to)],
    );
    return this.view();
  }

  /** Waits until the map shows what it showed at another time. */
  async viewLike({ from, to }, what) {
    const slack = (to - from) * 1e-3 + 1e-12;
    await this.until(what, async () => {
      const now = await this.view();
      return Math.abs(now.from - from) <= slack && Math.abs(now.to - to) <= slack;
    });
  }

  /** Fingers on the map that begin, move or end (`touchStart`, `touchMove`, `touchEnd`): places in it, in pixels from the left. */
  async fingers(type, places) {
    const { x, y } = await this.map.boundingBox();
    this.#touches ??= await this.#context.newCDPSession(this.page);
    const touchPoints = places.map((place, id) => ({ x: x + place, y: y + 80, id }));
    await this.#touches.send('Input.dispatchTouchEvent', { type, touchPoints });
  }

  /** Types an address into the head of the page. */
  async address(text) {
    const field = this.page.getByRole('textbox', { name: 'Address', exact: true });
    await field.fill(text);
    await field.press('Enter');
  }

  /** Goes to a panel. */
  async tab(name) {
    await this.page.getByRole('tab', { name, exact: true }).click();
    return this.panel(name);
  }

  /** The panel that is seen. */
  panel(name) {
    return this.page.getByRole('tabpanel', { name, exact: true });
  }

  /** Lets a file go over the page, made in the page itself. */
  async drop(name, bytes) {
    await this.page.evaluate(
      async ([fileName, url]) => {
        const binary = atob(url);
        const content = Uint8Array.from(binary, (one) => one.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([content], fileName));
        for (const type of ['dragover', 'drop'])
          document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      },
      [name, Buffer.from(bytes).toString('base64')],
    );
  }

  /** Waits for an error that the page tells, and returns its text. */
  async error() {
    const box = this.page.locator('.error [role=alert]');
    await box.waitFor();
    return box.innerText();
  }

  /** Waits until a condition holds. */
  async until(what, condition) {
    const end = Date.now() + PATIENCE;
    for (;;) {
      if (await condition()) return;
      if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
      await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => done())));
    }
  }

  /** What axe-core finds, one line for each rule. */
  async violations() {
    return this.page.evaluate(async (values) => {
      const { violations } = await globalThis.axe.run(document, {
        runOnly: { type: 'tag', values },
        resultTypes: ['violations'],
        preload: false,
      });
      return violations.map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map(({ html, any }) => `${html.slice(0, 160)} (${any[0]?.message ?? ''})`)
            .join(' | ')}${nodes.length > 3 ? ` and ${nodes.length - 3} more` : ''}`,
      );
    }, RULES);
  }

  /** Fails if the page scrolls sideways. */
  async fits() {
    const [content, window] = await this.page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    if (content > window) throw new Error(`the page is ${content} pixels wide in a window of ${window}`);
  }

  #watch({ protocol, origin, pathname }) {
    const folder = pathname.slice(0, pathname.lastIndexOf('/') + 1);
    const own = (url) =>
      protocol === 'file:' ? url.startsWith(`file://${folder}`) : new URL(url).origin === origin;
    this.#context.on('request', (request) => {
      const url = request.url();
      // What the page made itself leaves nobody's machine.
      if (!/^(data|blob):/.test(url) && !own(url)) this.#problems.push(`a request leaves: ${url}`);
    });
    this.#context.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning')
        this.#problems.push(`console: ${message.text()}`);
    });
    this.#context.on('weberror', (error) => this.#problems.push(`uncaught: ${error.error()}`));
  }
}
