import { readFileSync } from 'node:fs';
import { SAMPLES } from './command.mjs';
import { ExplorerPage, NARROW } from './page.mjs';

/** Zooming, history, and what the address bar keeps. */
export async function mapSubject({ browser, fileUrl }, checks) {
  const [sample] = SAMPLES;
  const open = async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(sample);
    return one;
  };

  await checks.check('a click zooms into a table, breadcrumbs and history lead back', async () => {
    const one = await open();
    const whole = await one.view();
    await clickTable(one, 0, 'page-directory-pointer table');
    const first = await one.viewOtherThan(whole);
    const crumbs = one.page.getByRole('navigation', { name: 'What the map shows' });
    await crumbs.getByRole('button', { name: /^PML4E \d+/ }).waitFor();
    await clickTable(one, 1, 'page directory');
    const second = await one.viewOtherThan(first);
    if (second.to - second.from >= first.to - first.from) throw new Error('the second click did not zoom in');
    await crumbs.getByRole('button', { name: /^PDPTE \d+/ }).waitFor();
    await one.page.getByRole('button', { name: 'Back', exact: true }).click();
    await one.viewLike(first, 'back to the first table');
    await one.page.getByRole('button', { name: 'Forward', exact: true }).click();
    await one.viewLike(second, 'forward to the second');
    await crumbs.getByRole('button', { name: /^PML4E \d+/ }).click();
    await one.viewLike(first, 'the breadcrumb of the first table');
    await crumbs.getByRole('button', { name: 'whole space' }).click();
    await one.viewLike(whole, 'the whole space');
    await one.page.goBack();
    await one.viewLike(first, "the browser's own step back");
    await one.close();
  });

  await checks.check('two fingers zoom, one moves', async () => {
    const one = await ExplorerPage.open(browser, fileUrl, { size: NARROW, touch: true });
    await one.sample(sample);
    const whole = await one.view();
    await one.fingers('touchStart', [180]);
    await one.fingers('touchStart', [180, 210]);
    for (let by = 10; by <= 80; by += 10) await one.fingers('touchMove', [180 - by, 210 + by]);
    await one.fingers('touchEnd', []);
    const near = await one.viewOtherThan(whole);
    // From 30 to 190 pixels apart.
    const part = near.to - near.from;
    if (part < 0.1 || part > 0.25) throw new Error(`fingers that part show ${part} of all`);
    await one.fingers('touchStart', [250]);
    for (let by = 12; by <= 96; by += 12) await one.fingers('touchMove', [250 - by]);
    await one.fingers('touchEnd', []);
    const moved = await one.viewOtherThan(near);
    if (moved.from <= near.from) throw new Error('a finger that goes left did not move the map');
    await one.close();
  });

  await checks.check('the wheel and the buttons zoom, dragging moves', async () => {
    const one = await open();
    const whole = await one.view();
    await one.map.hover();
    await one.page.mouse.wheel(0, -600);
    const near = await one.viewOtherThan(whole);
    if (near.to - near.from >= 0.5)
      throw new Error(`a turn of the wheel shows ${near.to - near.from} of all`);
    const { x, y, width, height } = await one.map.boundingBox();
    await one.page.mouse.move(x + width / 2, y + height / 2);
    await one.page.mouse.down();
    await one.page.mouse.move(x + width / 4, y + height / 2, { steps: 4 });
    await one.page.mouse.up();
    const moved = await one.viewOtherThan(near);
    const part = (moved.from - near.from) / (near.to - near.from);
    if (Math.abs(part - 0.25) > 0.05) throw new Error(`dragging by a quarter moved by ${part}`);
    await one.page.getByRole('button', { name: 'Zoom out' }).click();
    const far = await one.viewOtherThan(moved);
    await one.page.getByRole('button', { name: 'Zoom in' }).click();
    await one.viewOtherThan(far);
    await one.close();
  });

  await checks.check('keys choose, open, go up and zoom', async () => {
    const one = await open();
    const whole = await one.view();
    await one.page.keyboard.press('m');
    const chosen = one.page.locator('#map-chosen');
    await one.page.keyboard.press('ArrowRight');
    await one.until('a piece is chosen', async () => (await chosen.innerText()) !== '');
    const before = await chosen.innerText();
    await one.page.keyboard.press('ArrowRight');
    await one.until('another is chosen', async () => (await chosen.innerText()) !== before);
    while (!/: a page-directory-pointer table/.test(await chosen.innerText())) {
      const last = await chosen.innerText();
      await one.page.keyboard.press('ArrowRight');
      await one.until('another is chosen', async () => (await chosen.innerText()) !== last);
    }
    await one.page.keyboard.press('Enter');
    const inside = await one.viewOtherThan(whole);
    await one.page.keyboard.press('+');
    const near = await one.viewOtherThan(inside);
    await one.page.keyboard.press('-');
    await one.viewLike(inside, 'minus undoes plus');
    await one.page.keyboard.press('Escape');
    await one.viewLike(whole, 'Escape goes up');
    await one.page.keyboard.press('+');
    await one.viewOtherThan(whole);
    await one.page.keyboard.press('Home');
    await one.viewLike(whole, 'Home shows everything');
    await one.close();
    return `${(near.to - near.from).toExponential(1)} of the whole`;
  });

  await checks.check('the address bar brings map, panel and address back in a new page', async () => {
    const one = await open();
    const whole = await one.view();
    await clickTable(one, 0, 'page-directory-pointer table');
    const view = await one.viewOtherThan(whole);
    await one.address('7f75ece01234');
    await one.tab('Table');
    await one.until('the panel stands in the URL', async () => /panel=table/.test(one.page.url()));
    const url = one.page.url();
    await one.close();
    const other = await ExplorerPage.open(browser, url);
    await other.drawn(sample.name);
    await other.viewLike(view, 'the same part of the map');
    await other.panel('Table').waitFor();
    const field = other.page.getByRole('textbox', { name: 'Address', exact: true });
    if (!/^0x0*7f75ece01234$/.test(await field.inputValue()))
      throw new Error(`the address is ${await field.inputValue()}`);
    await other.close();
  });

  await checks.check('what no fragment should say is passed over', async () => {
    const strange = [
      'zoom=fffffffffffff-0&va=zz&table=9.9.9&entry=99999&try=1.2.3_x&o.cr3=%3Cimg%3E&panel=no',
      'zoom=0-fffffffffffff&va=ffffffffffffffff&table=0.3.fffffffffffff&entry=5&panel=table',
      'pa=ffffffffffffffff&panel=find',
      'rights=%3Cb%3E&size=9Q&minSize=-1&merge=no&range=1-0&panel=regions',
    ];
    for (const fragment of strange) {
      const one = await ExplorerPage.open(browser, `${fileUrl}#sample=${sample.name}&${fragment}`);
      await one.page.getByRole('tablist').or(one.page.getByRole('alert')).first().waitFor();
      await one.close();
    }
    return `${strange.length} fragments`;
  });

  await checks.check(
    'a drawing of the map is XML without scripts, and has the colours of the map',
    async () => {
      const one = await open();
      const [download] = await Promise.all([
        one.page.waitForEvent('download'),
        one.page.getByRole('button', { name: 'Save SVG' }).click(),
      ]);
      const text = readFileSync(await download.path(), 'utf8');
      const found = await one.page.evaluate((svg) => {
        const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml');
        const all = [...parsed.querySelectorAll('*')];
        return {
          error: parsed.querySelector('parsererror')?.textContent,
          names: [...new Set(all.map(({ localName }) => localName))],
          handlers: all.flatMap((element) =>
            [...element.attributes].map(({ name }) => name).filter((name) => /^on|href/.test(name)),
          ),
          fills: [...new Set(all.map((element) => element.getAttribute('fill')))],
          colours: ['user-rw', 'kernel-rw', 'table'].map((look) =>
            getComputedStyle(document.documentElement).getPropertyValue(`--map-${look}`),
          ),
        };
      }, text);
      if (found.error !== undefined) throw new Error(found.error);
      const wrong = found.names.filter((name) => !SVG_ELEMENTS.includes(name));
      if (wrong.length + found.handlers.length > 0) throw new Error([...wrong, ...found.handlers].join());
      if (!found.names.includes('text')) throw new Error('there is no text in it');
      if (!found.fills.includes('#f5b942') || !found.fills.includes('#c98a1b'))
        throw new Error(`fills ${found.fills.join()}`);
      await one.close();
      return `${found.fills.length} fills`;
    },
  );
}

/** What a drawing may consist of. */
const SVG_ELEMENTS = ['svg', 'title', 'defs', 'pattern', 'rect', 'path', 'text'];

/** Clicks in a lane on the first thing from the right that the map calls a table of this name. */
async function clickTable(one, lane, table) {
  const { x, y, width } = await one.map.boundingBox();
  // Lanes are 20 pixels high and begin under a rail of 7.
  const top = y + 7 + lane * 20 + 10;
  const tip = one.page.locator('.tip');
  for (let right = 4; right < width; right += 9) {
    await one.page.mouse.move(x + width - right, top);
    if (!(await tip.innerText()).includes(`: a ${table}`)) continue;
    await one.page.mouse.click(x + width - right, top);
    return;
  }
  throw new Error(`the map has no ${table} in lane ${lane}`);
}
