import { PageTableFlags } from './flags.ts';

/** Bit of an entry's low half: it is in use. */
export const PRESENT: number = PageTableFlags.PRESENT.low;
/** Bit of an entry's low half: it maps a huge page. */
export const HUGE_PAGE: number = PageTableFlags.HUGE_PAGE.low;
/** Bits of an entry's low half that belong to the address: those that are no flags. */
export const ADDRESS_LOW: number = ~PageTableFlags.all().low;
/** The same of the high half. */
export const ADDRESS_HIGH: number = ~PageTableFlags.all().high;
