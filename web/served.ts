import { parseSize, type TableOptions } from 'tablewalk/session';
import type { ImageSource } from './protocol.ts';

/** What the command's server puts into the page. */
interface PageSource {
  readonly name: string;
  readonly options: TableOptions & {
    readonly raw?: true;
    readonly base?: string;
    readonly maxUnpacked?: string;
  };
  readonly registers?: string;
}

/** The image that `tablewalk explore` serves, and the tables that it was asked for; `undefined` elsewhere. */
export function servedImage(): { readonly image: ImageSource; readonly options: TableOptions } | undefined {
  const content = document.querySelector('meta[name="tablewalk-source"]')?.getAttribute('content');
  if (content === null || content === undefined) return undefined;
  // Written by the command itself.
  const { name, options, registers } = JSON.parse(content) as PageSource;
  const { raw, base, maxUnpacked, ...tables } = options;
  const image: ImageSource = {
    name,
    url: new URL('source', location.href).href,
    ...(registers === undefined ? {} : { registers }),
    ...(raw === undefined ? {} : { raw }),
    ...(base === undefined ? {} : { base }),
    // The command refused what is no size.
    ...(maxUnpacked === undefined ? {} : { maxUnpackedBytes: Number(parseSize('maxUnpacked', maxUnpacked)) }),
  };
  return { image, options: tables };
}
