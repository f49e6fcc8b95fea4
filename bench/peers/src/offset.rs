//! `OffsetPageTable` of the crate `x86_64`.

use x86_64::VirtAddr;
use x86_64::structures::paging::{OffsetPageTable, PageTable, Size2MiB, Size4KiB};

use crate::mapper::{Frames, Prepared, Rows};
use crate::rows::{Report, large_pages, small_pages};

/// A mapper of an empty root table in frame 0 of `ram`.
pub fn empty(ram: u64) -> (OffsetPageTable<'static>, Frames) {
    let root = unsafe { &mut *VirtAddr::new(ram).as_mut_ptr::<PageTable>() };
    root.zero();
    (unsafe { OffsetPageTable::new(root, VirtAddr::new(ram)) }, Frames::all())
}

pub fn run(ram: u64, rounds: usize) {
    let report = Report { peer: "x86_64", rounds };
    let rows = Rows { report: &report, prefix: "", empty: || empty(ram) };
    let small = small_pages().map(Prepared::<Size4KiB>::from);

    small.iter().for_each(|prepared| rows.map(prepared));
    large_pages().map(Prepared::<Size2MiB>::from).iter().for_each(|prepared| rows.map(prepared));
    small.iter().for_each(|prepared| rows.update_flags(prepared));
    small.iter().for_each(|prepared| rows.translate_page(prepared));
    small.iter().for_each(|prepared| rows.translate_addr(prepared));
    small.iter().for_each(|prepared| rows.unmap(prepared));
    small.iter().for_each(|prepared| rows.clean_up(prepared));
}
