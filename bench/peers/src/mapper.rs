//! What the mappers of the crate `x86_64` share: their rows, for any mapper of its traits.
//!
//! Pages and frames are prepared as values of the crate's own types, so that only the mapper is timed; addresses are
//! prepared as `u64` and become `VirtAddr` in the loop, as an address from outside would. Flushes are ignored.

use std::fmt::Debug;
use std::hint::black_box;
use std::time::Duration;

use x86_64::structures::paging::frame::PhysFrameRange;
use x86_64::structures::paging::mapper::{CleanUp, Mapper, Translate, TranslateResult};
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, Page, PageSize, PageTableFlags, PhysFrame, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::rows::{OFFSET, RAM_SIZE, Report, Workload, timed};

pub const WRITABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);
const NO_EXECUTE: PageTableFlags = WRITABLE.union(PageTableFlags::NO_EXECUTE);

/// Hands out the frames of RAM one after another, and counts those that come back.
pub struct Frames {
    unused: PhysFrameRange,
    freed: usize,
}

impl Frames {
    /// All frames but frame 0, where the root table is.
    pub fn all() -> Self {
        let [first, end] =
            [Size4KiB::SIZE, RAM_SIZE].map(|at| PhysFrame::containing_address(PhysAddr::new(at)));
        Self { unused: PhysFrame::range(first, end), freed: 0 }
    }
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

pub struct Prepared<S: PageSize> {
    pub workload: Workload,
    pub pages: Vec<Page<S>>,
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

impl<S: PageSize + Debug> Prepared<S> {
    pub fn map(&self, mapper: &mut impl Mapper<S>, frames: &mut Frames) {
        for (&page, &frame) in self.pages.iter().zip(&self.frames) {
            unsafe { mapper.map_to(page, frame, WRITABLE, frames) }.unwrap().ignore();
        }
    }

    pub fn translate(&self, mapper: &impl Mapper<S>) {
        let numbers = self.pages.iter().map(|&page| {
            let frame = mapper.translate_page(page).unwrap();
            frame.start_address().as_u64() / Size4KiB::SIZE
        });
        assert_eq!(black_box(numbers.sum::<u64>()), self.workload.sum(0) / Size4KiB::SIZE);
    }

    pub fn unmap(&self, mapper: &mut impl Mapper<S>) {
        let mut sum = 0;
        for &page in &self.pages {
            let (frame, flush) = mapper.unmap(page).unwrap();
            flush.ignore();
            sum += frame.start_address().as_u64();
        }
        assert_eq!(black_box(sum), self.workload.sum(0));
    }
}

/// The rows of one mapper: their names start with `prefix`.
pub struct Rows<'a, E> {
    pub report: &'a Report,
    pub prefix: &'static str,
    /// Makes a mapper of an empty root table, and the frames for all others.
    pub empty: E,
}

impl<M, E: Fn() -> (M, Frames)> Rows<'_, E> {
    fn row(&self, row: &str, interface: &str, count: usize, pass: impl FnMut(usize) -> Duration) {
        self.report.row(&format!("{}{row}", self.prefix), interface, count, pass);
    }

    fn mapped<S: PageSize + Debug>(&self, prepared: &Prepared<S>) -> (M, Frames)
    where
        M: Mapper<S>,
    {
        let (mut mapper, mut frames) = (self.empty)();
        prepared.map(&mut mapper, &mut frames);
        (mapper, frames)
    }

    pub fn map<S: PageSize + Debug>(&self, prepared: &Prepared<S>)
    where
        M: Mapper<S>,
    {
        self.row(prepared.workload.map, "Page", prepared.pages.len(), |_| {
            let (mut mapper, mut frames) = (self.empty)();
            let time = timed(|| prepared.map(&mut mapper, &mut frames));
            prepared.translate(&mapper);
            time
        });
    }
}

impl<M: Mapper<Size4KiB> + Translate, E: Fn() -> (M, Frames)> Rows<'_, E> {
    /// Maps pages whose tables are there.
    pub fn map_again(&self, prepared: &Prepared<Size4KiB>) {
        let row = format!("map again 4K, {}", prepared.workload.order);
        let (mut mapper, mut frames) = self.mapped(prepared);
        self.row(&row, "Page", prepared.pages.len(), |_| {
            prepared.unmap(&mut mapper);
            let time = timed(|| prepared.map(&mut mapper, &mut frames));
            prepared.translate(&mapper);
            time
        });
    }

    pub fn update_flags(&self, prepared @ Prepared { workload, pages, .. }: &Prepared<Size4KiB>) {
        let (mut mapper, _) = self.mapped(prepared);
        self.row(&format!("update flags 4K, {}", workload.order), "Page", pages.len(), |round| {
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

    pub fn translate_page(&self, prepared: &Prepared<Size4KiB>) {
        let (mapper, _) = self.mapped(prepared);
        let row = format!("translate page 4K, {}", prepared.workload.order);
        self.row(&row, "Page", prepared.pages.len(), |_| timed(|| prepared.translate(&mapper)));
    }

    pub fn translate_addr(&self, prepared @ Prepared { workload, .. }: &Prepared<Size4KiB>) {
        let (mapper, _) = self.mapped(prepared);
        let addresses: Vec<u64> = workload.pages.iter().map(|page| page + OFFSET).collect();
        let expected = workload.sum(OFFSET);
        self.row(&format!("translate addr, {}", workload.order), "VirtAddr", addresses.len(), |_| {
            timed(|| {
                let physical =
                    addresses.iter().map(|&at| mapper.translate_addr(VirtAddr::new(at)).unwrap().as_u64());
                assert_eq!(black_box(physical.sum::<u64>()), expected);
            })
        });
    }

    pub fn unmap(&self, prepared: &Prepared<Size4KiB>) {
        let row = format!("unmap 4K, {}", prepared.workload.order);
        self.row(&row, "Page", prepared.pages.len(), |_| {
            let (mut mapper, _) = self.mapped(prepared);
            timed(|| prepared.unmap(&mut mapper))
        });
    }

    pub fn clean_up(&self, prepared: &Prepared<Size4KiB>)
    where
        M: CleanUp,
    {
        let tables = prepared.workload.tables();
        self.row(prepared.workload.clean_up, "CleanUp", tables, |_| {
            let (mut mapper, mut frames) = self.mapped(prepared);
            prepared.unmap(&mut mapper);
            let time = timed(|| unsafe { mapper.clean_up(&mut frames) });
            assert_eq!(frames.freed, tables);
            time
        });
    }
}
