import type { IncomingMessage } from 'node:http';

/**
 * Why a request is refused, or `undefined`. The image is for the page alone that this server gives: not for pages of
 * other origins that ask for it, nor for a page whose name was made to lead to this machine (DNS rebinding).
 *
 * @param port - where this server listens
 * @param path - what is asked for, without a query
 * @see Fetch Metadata Request Headers (W3C), section 2; RFC 6454, section 7, "The HTTP Origin Header Field"
 */
export function refusal(request: IncomingMessage, port: number, path: string): string | undefined {
  const header = (name: string): readonly string[] => request.headersDistinct[name] ?? [];
  const [host, ...moreHosts] = header('host').map((text) => text.toLowerCase());
  if (host === undefined || moreHosts.length > 0 || !ownHosts(port).includes(host)) {
    return `expected Host ${ownHosts(port).join(' or ')}`;
  }
  if (header('origin').some((origin) => origin.toLowerCase() !== `http://${host}`)) {
    return `expected Origin http://${host}, or none`;
  }
  const is = (name: string, value: string): boolean => header(name).join() === value;
  const isOwn = header('sec-fetch-site').every((site) => site === 'same-origin' || site === 'none');
  // A link to the page is followed wherever it stands.
  const isLink = path === '/' && is('sec-fetch-mode', 'navigate') && is('sec-fetch-dest', 'document');
  return isOwn || isLink ? undefined : 'expected a request of this page, found one of another site';
}

/** The hosts under which a browser reaches this server. */
function ownHosts(port: number): readonly string[] {
  const names = ['127.0.0.1', 'localhost'];
  // Browsers leave the port of HTTP out.
  return [...names.map((name) => `${name}:${port}`), ...(port === 80 ? names : [])];
}

/** Bytes of a file, the end not included. */
export interface ByteRange {
  readonly first: number;
  readonly end: number;
}

/**
 * Reads a Range header.
 *
 * @param size - bytes of the file
 * @returns the one range asked for; `undefined` if the unit is not bytes, which means the whole file; `refused` if the range
 *   is not in the file, there are several, or it is none
 * @see RFC 9110, sections 14.1.2 "Byte Ranges" and 14.2 "Range"
 */
export function parseRange(text: string, size: number): ByteRange | 'refused' | undefined {
  if (!/^\s*bytes\s*=/i.test(text)) return undefined;
  const [, from, to] = /^\s*bytes\s*=\s*(\d*)-(\d*)\s*$/i.exec(text) ?? [];
  if (from === undefined || to === undefined || from + to === '') return 'refused';
  // Numbers of any length: what is not exact lies behind the end of every file.
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size : Math.min(size, Number(to) + 1);
  return first < end ? { first, end } : 'refused';
}
