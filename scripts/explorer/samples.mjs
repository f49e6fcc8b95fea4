import { SAMPLES, sampleFiles } from './command.mjs';
import { core, mapPages, PAGE, selfLeading } from './images.mjs';
import { ExplorerPage } from './page.mjs';
import { explore } from './serve.mjs';

/** Each sample opens by its button, from a file and from a server. */
export async function samplesSubject({ browser, fileUrl, webUrl }, checks) {
  for (const [where, url] of [
    ['as a file', fileUrl],
    ['served', webUrl],
  ]) {
    for (const sample of SAMPLES) {
      await checks.check(`${sample.title} opens, ${where}`, async () => {
        const one = await ExplorerPage.open(browser, url);
        await one.sample(sample);
        const head = one.page.getByRole('banner');
        await head.getByText(sample.name, { exact: true }).waitFor();
        for (const text of sample.paging) await head.getByText(text).waitFor();
        const colours = await one.drawn(sample.name);
        await one.close();
        return `${colours} colours`;
      });
    }
  }

  await checks.check('steps through the history open what was open then', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLES[0]);
    await one.page.getByRole('button', { name: 'Open another' }).click();
    await one.sample(SAMPLES[2]);
    await one.page.goBack();
    await one.page.getByRole('heading', { name: 'Look into real page tables' }).waitFor();
    await one.page.goBack();
    await one.drawn(SAMPLES[0].name);
    await one.page.goForward();
    await one.page.goForward();
    await one.drawn(SAMPLES[2].name);
    await one.close();
  });

  await checks.check('of two files that are dropped at once the last is opened', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.drop(
      'first.elf',
      core(
        mapPages(64, () => 7),
        { cr3: PAGE },
      ),
    );
    await one.drop('second.elf', core(selfLeading(), { cr3: PAGE + 0x18 }));
    await one.drawn('second.elf');
    const facts = await (await one.tab('Image')).innerText();
    if (!/512 entries of the root lead to the root itself/.test(facts)) throw new Error(facts);
    await one.close();
  });

  await checks.check('the command shows its image, with the options that it was given', async () => {
    const [sample] = SAMPLES;
    const { core: file, options } = sampleFiles(sample);
    const server = await explore(file, ...options, '--cpu', '1');
    try {
      const one = await ExplorerPage.open(browser, server.url);
      await one.drawn('core.elf.gz');
      await one.page
        .getByRole('banner')
        .getByText(/root 0x0*287e000 from CR3 of CPU 1/)
        .waitFor();
      await one.close();
      const again = await ExplorerPage.open(browser, `${server.url}#panel=image`);
      await again.drawn('core.elf.gz');
      await again.panel('Image').getByText('ELF core written by QEMU, x86').waitFor();
      await again.close();
    } finally {
      server.close();
    }
  });
}
