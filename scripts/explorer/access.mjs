import { SAMPLES } from './command.mjs';
import { core, mapPages } from './images.mjs';
import { ExplorerPage, NARROW, TABS, WIDE } from './page.mjs';

/** For readers without a pointer, without colours, with a screen reader, with a small screen. */
export async function accessSubject({ browser, fileUrl }, checks) {
  for (const theme of ['light', 'dark']) {
    for (const size of [WIDE, NARROW]) {
      await checks.check(`axe finds nothing, ${theme}, ${size.width} pixels`, async () => {
        const found = [];
        const look = async (one, where) => {
          for (const line of await one.violations()) found.push(`${where}: ${line}`);
          await one.fits().catch(({ message }) => found.push(`${where}: ${message}`));
        };
        const asking = await ExplorerPage.open(browser, fileUrl, { size, theme, axe: true });
        await look(asking, 'start');
        await asking.drop('image.elf', core(mapPages(1, () => 7)));
        await asking.page.getByRole('heading', { name: /which tables/ }).waitFor();
        await look(asking, 'registers');
        await asking.close();
        const one = await ExplorerPage.open(browser, fileUrl, { size, theme, axe: true });
        await one.sample(SAMPLES[1]);
        await one.address('ffff800008010c80');
        for (const name of TABS) {
          await one.tab(name);
          await look(one, name);
        }
        await one.page.getByRole('button', { name: 'Help' }).click();
        await look(one, 'Help');
        await one.close();
        if (found.length > 0) throw new Error(found.join('\n          '));
        return `${TABS.length + 3} states`;
      });
    }
  }

  await checks.check('everything goes without a pointer, and the focus is always seen', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    const { keyboard } = one.page;
    await tabTo(one, (focus) => focus.text.startsWith('x86-64'));
    await keyboard.press('Enter');
    await one.drawn(SAMPLES[0].name);

    await keyboard.press('/');
    await focusOf(one, ({ id }) => id === 'address');
    await keyboard.type('402000');
    await keyboard.press('Enter');
    const panel = one.panel('Walk');
    await panel.getByRole('heading', { name: /^0x0*402000 translates to/ }).waitFor();

    // The outcome has the focus then, so keys are shortcuts: from the chosen tab on, into the bits of the last level.
    await focusOf(one, ({ id }) => id === 'outcome');
    await keyboard.press('t');
    await focusOf(one, ({ text }) => text === 'Walk');
    await tabTo(one, ({ group }) => /^Bits of PTE 2 at /.test(group));
    await keyboard.press('End');
    await keyboard.press('ArrowLeft');
    await focusOf(one, ({ label }) => /^bit 1, R\/W = 0/.test(label));
    await keyboard.press('Enter');
    const bar = one.page.locator('.try-bar');
    await bar
      .getByRole('status')
      .getByText(/^Scratch copy: 1 change, 4 KiB change/)
      .waitFor();
    await focusOf(one, ({ label }) => /^bit 1, R\/W = 1/.test(label));

    await tabTo(one, ({ text }) => text === 'Undo last', 'Shift+Tab');
    await keyboard.press('Enter');
    await bar.waitFor({ state: 'detached' });

    await one.page.evaluate(() => document.activeElement?.blur());
    await keyboard.press('t');
    await keyboard.press('ArrowRight');
    await keyboard.press('ArrowRight');
    await focusOf(one, ({ text }) => text === 'Regions');
    await one
      .panel('Regions')
      .getByRole('status')
      .getByText(/^228 rows/)
      .waitFor();
    await tabTo(one, ({ label }) => label === 'Regions');
    await keyboard.press('ArrowDown');
    await keyboard.press('ArrowDown');
    await one.panel('Regions').getByRole('row', { selected: true }).getByText('r--').first().waitFor();
    await tabTo(one, ({ text }) => /^0{10}403000-/.test(text));
    await keyboard.press('Enter');
    await panel.getByRole('heading', { name: /^0x0*403000 translates to/ }).waitFor();
    await one.close();
  });
}

/** Keys after which a thing must have been reached. */
const MAX_STEPS = 80;

/** Presses Tab until the focus is where it should be. At every step it must be seen. */
async function tabTo(one, isThere, key = 'Tab') {
  const passed = [];
  for (let i = 0; i < MAX_STEPS; i += 1) {
    await one.page.keyboard.press(key);
    const focus = await seenFocus(one);
    if (isThere(focus)) return;
    passed.push(focus.text || focus.label);
  }
  throw new Error(`not reached by ${key}; passed: ${passed.join(', ')}`);
}

/** Waits until the focus is where it should be, and is seen. */
async function focusOf(one, isThere) {
  let last;
  await one
    .until('focus', async () => {
      last = await focused(one);
      return isThere(last);
    })
    .catch(({ message }) => {
      throw new Error(`${message}: it is on ${JSON.stringify(last)}`);
    });
  await seenFocus(one);
}

async function seenFocus(one) {
  const focus = await focused(one);
  if (!focus.isSeen) throw new Error(`the focus is not seen on ${JSON.stringify(focus)}`);
  return focus;
}

/** What has the focus, and whether that can be seen: there is an outline, and it lies in the window. */
function focused(one) {
  return one.page.evaluate(() => {
    const element = document.activeElement;
    // Behind the last element the focus leaves the page for a moment.
    if (element === null || element === document.body)
      return { text: '', label: '', group: '', isSeen: true };
    // A list has its outline around what scrolls.
    const hasOutline = [element, element.closest('.list')].some((one) => {
      if (one === null) return false;
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 0;
    });
    const { top, bottom, left, right } = element.getBoundingClientRect();
    const isInside = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
    return {
      id: element.id,
      text: (element.textContent ?? '').trim().slice(0, 60),
      label: element.getAttribute('aria-label') ?? '',
      group: element.closest('[role=toolbar]')?.getAttribute('aria-label') ?? '',
      isSeen: isInside && hasOutline,
    };
  });
}
