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
}
