//! `OffsetPageTable` of the crate `x86_64`.
//!
//! Pages and frames are prepared as values of the crate's own types, so that only the mapper is timed; addresses are
//! prepared as `u64` and become `VirtAddr` in the loop, as an address from outside would. Flushes are ignored.

use std::fmt::Debug;
use std::hint::black_box;

use x86_64::structures::paging::mapper::{CleanUp, Mapper, Translate, TranslateResult};
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size2MiB, Size4KiB, frame::PhysFrameRange,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::rows::{OFFSET, RAM_SIZE, Report, Workload, large_pages, small_pages, timed};

const WRITABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
const NO_EXECUTE: PageTableFlags = WRITABLE.union(PageTableFlags::NO_EXECUTE);

/// Hands out the frames of RAM one after another, and counts those that come back.
struct Frames {
    unused: PhysFrameRange,
    freed: usize,
}

unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.unused.next()
    }
}

impl FrameDeallocator<Size4KiB> for Frames {
    unsafe fn deallocate_frame(&mut self, _: PhysFrame) {
        self.freed += 1;
    }
}

/// An empty root table in frame 0; all other frames of RAM are for tables.
fn empty(ram: u64) -> (OffsetPageTable<'static>, Frames) {
    let root = unsafe { &mut *VirtAddr::new(ram).as_mut_ptr::<PageTable>() };
    root.zero();
    let [first, end] = [Size4KiB::SIZE, RAM_SIZE].map(|at| PhysFrame::containing_address(PhysAddr::new(at)));
    let frames = Frames { unused: PhysFrame::range(first, end), freed: 0 };
    (unsafe { OffsetPageTable::new(root, VirtAddr::new(ram)) }, frames)
}

struct Prepared<S: PageSize> {
    workload: Workload,
    pages: Vec<Page<S>>,
    frames: Vec<PhysFrame<S>>,
}

impl<S: PageSize> From<Workload> for Prepared<S> {
    fn from(workload: Workload) -> Self {
        let page = |&at: &u64| Page::from_start_address(VirtAddr::new(at)).unwrap();
        let frame = |at| PhysFrame::from_start_address(PhysAddr::new(at)).unwrap();
        let pages = workload.pages.iter().map(page).collect();
        let frames = workload.frames().map(frame).collect();
        Self { workload, pages, frames }
    }
}

impl<S: PageSize + Debug> Prepared<S>
where
    OffsetPageTable<'static>: Mapper<S>,
{
    fn map(&self, mapper: &mut OffsetPageTable<'static>, frames: &mut Frames) {
        for (&page, &frame) in self.pages.iter().zip(&self.frames) {
            unsafe { mapper.map_to(page, frame, WRITABLE, frames) }.unwrap().ignore();
        }
    }

    fn mapped(&self, ram: u64) -> (OffsetPageTable<'static>, Frames) {
        let (mut mapper, mut frames) = empty(ram);
        self.map(&mut mapper, &mut frames);
        (mapper, frames)
    }

    fn translate(&self, mapper: &OffsetPageTable<'static>) {
        let numbers = self.pages.iter().map(|&page| {
            let frame = mapper.translate_page(page).unwrap();
            frame.start_address().as_u64() / Size4KiB::SIZE
        });
        assert_eq!(black_box(numbers.sum::<u64>()), self.workload.sum(0) / Size4KiB::SIZE);
    }

    fn unmap(&self, mapper: &mut OffsetPageTable<'static>) {
        let mut sum = 0;
        for &page in &self.pages {
            let (frame, flush) = mapper.unmap(page).unwrap();
            flush.ignore();
            sum += frame.start_address().as_u64();
        }
        assert_eq!(black_box(sum), self.workload.sum(0));
    }

    fn row_map(&self, ram: u64, report: &Report) {
        report.row(self.workload.map, "Page", self.pages.len(), |_| {
            let (mut mapper, mut frames) = empty(ram);
            let time = timed(|| self.map(&mut mapper, &mut frames));
            self.translate(&mapper);
            time
        });
    }
}

pub fn run(ram: u64, rounds: usize) {
    let report = Report { peer: "x86_64", rounds };
    let small = small_pages().map(Prepared::<Size4KiB>::from);

    for prepared in &small {
        prepared.row_map(ram, &report);
    }
    for workload in large_pages() {
        Prepared::<Size2MiB>::from(workload).row_map(ram, &report);
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        let (mut mapper, _) = prepared.mapped(ram);
        report.row(&format!("update flags 4K, {}", workload.order), "Page", pages.len(), |round| {
            let new = if round % 2 == 0 { NO_EXECUTE } else { WRITABLE };
            let time = timed(|| {
                for &page in pages {
                    unsafe { mapper.update_flags(page, new) }.unwrap().ignore();
                }
            });
            for page in pages {
                let result = mapper.translate(page.start_address());
                assert!(matches!(result, TranslateResult::Mapped { flags, .. } if flags == new));
            }
            time
        });
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        let (mapper, _) = prepared.mapped(ram);
        report.row(&format!("translate page 4K, {}", workload.order), "Page", pages.len(), |_| {
            timed(|| prepared.translate(&mapper))
        });
    }
    for prepared @ Prepared { workload, .. } in &small {
        let (mapper, _) = prepared.mapped(ram);
        let addresses: Vec<u64> = workload.pages.iter().map(|page| page + OFFSET).collect();
        let expected = workload.sum(OFFSET);
        report.row(&format!("translate addr, {}", workload.order), "VirtAddr", addresses.len(), |_| {
            timed(|| {
                let physical =
                    addresses.iter().map(|&at| mapper.translate_addr(VirtAddr::new(at)).unwrap().as_u64());
                assert_eq!(black_box(physical.sum::<u64>()), expected);
            })
        });
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        report.row(&format!("unmap 4K, {}", workload.order), "Page", pages.len(), |_| {
            let (mut mapper, _) = prepared.mapped(ram);
            timed(|| prepared.unmap(&mut mapper))
        });
    }
    for prepared @ Prepared { workload, .. } in &small {
        let tables = workload.tables();
        report.row(workload.clean_up, "CleanUp", tables, |_| {
            let (mut mapper, mut frames) = prepared.mapped(ram);
            prepared.unmap(&mut mapper);
            let time = timed(|| unsafe { mapper.clean_up(&mut frames) });
            assert_eq!(frames.freed, tables);
            time
        });
    }
}
