import { SAMPLES } from './command.mjs';
import { ExplorerPage } from './page.mjs';

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
        await head.getByText(sample.paging).waitFor();
        const colours = await one.drawn(sample.name);
        await one.close();
        return `${colours} colours`;
      });
    }
  }
}
