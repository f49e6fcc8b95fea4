//! `PageTable64` of the crate `page_table_multiarch`, with its entries of x86-64.
//!
//! Changes are made through one cursor per pass. Pages and frames are prepared as values of the crate's own types,
//! so that only the mapper is timed; addresses are prepared as `u64` and become `VirtAddr` in the loop. The crate
//! frees no empty tables, so the rows that clean up are missing.

use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
use page_table_multiarch::{MappingFlags, PageSize, PageTable64, PagingHandler, PagingMetaData};

use crate::rows::{
    Kind, LeafSum, OFFSET, RAM_SIZE, Report, SIZE_4K, SPACE_PAGES, Workload, large_pages, shuffled,
    small_pages, timed,
};

const EXECUTABLE: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE).union(MappingFlags::EXECUTE);
const NO_EXECUTE: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);

/// 4-level paging without the privileged instructions that flush the TLB.
struct FourLevel;

impl PagingMetaData for FourLevel {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_: Option<VirtAddr>) {}
}

/// Guest RAM, whose frames are handed out one after another. The crate asks for it by type, so it is global.
struct Ram;

static BASE: AtomicUsize = AtomicUsize::new(0);
static UNUSED: AtomicUsize = AtomicUsize::new(0);

impl PagingHandler for Ram {
    fn alloc_frames(count: usize, _align: usize) -> Option<PhysAddr> {
        // One thread: no atomic addition is needed. Every frame is aligned, and tables are asked for one at a time.
        let start = UNUSED.load(Relaxed);
        let end = start + count * SIZE_4K as usize;
        (end <= RAM_SIZE as usize).then(|| {
            UNUSED.store(end, Relaxed);
            PhysAddr::from_usize(start)
        })
    }

    fn dealloc_frames(_: PhysAddr, _: usize) {}

    fn phys_to_virt(at: PhysAddr) -> VirtAddr {
        VirtAddr::from_usize(BASE.load(Relaxed) + at.as_usize())
    }
}

/// Not dropped: that would visit all tables to free them.
type Table = ManuallyDrop<PageTable64<FourLevel, X64PTE, Ram>>;

/// An empty root table in frame 1: the crate takes physical address 0 for no table.
fn empty() -> Table {
    UNUSED.store(SIZE_4K as usize, Relaxed);
    ManuallyDrop::new(PageTable64::try_new().unwrap())
}

struct Prepared {
    workload: Workload,
    pages: Vec<VirtAddr>,
    frames: Vec<PhysAddr>,
    size: PageSize,
}

impl Prepared {
    fn new(workload: Workload, size: PageSize) -> Self {
        let pages = workload.pages.iter().map(|&at| VirtAddr::from_usize(at as usize)).collect();
        let frames = workload.frames().map(|at| PhysAddr::from_usize(at as usize)).collect();
        Self { workload, pages, frames, size }
    }

    fn map(&self, table: &mut Table) {
        let mut cursor = table.cursor();
        for (&page, &frame) in self.pages.iter().zip(&self.frames) {
            cursor.map(page, frame, self.size, EXECUTABLE).unwrap();
        }
    }

    fn mapped(&self) -> Table {
        let mut table = empty();
        self.map(&mut table);
        table
    }

    /// `query` is also the only way to translate a page: its size is then checked as `translate_page` would.
    fn translate(&self, table: &Table) {
        let numbers = self.pages.iter().map(|&page| {
            let (frame, _, size) = table.query(page).unwrap();
            assert_eq!(size, self.size);
            frame.as_usize() as u64 / SIZE_4K
        });
        assert_eq!(black_box(numbers.sum::<u64>()), self.workload.sum(0) / SIZE_4K);
    }

    fn unmap(&self, table: &mut Table) {
        let mut cursor = table.cursor();
        let mut sum = 0;
        for &page in &self.pages {
            let (frame, _, size) = cursor.unmap(page).unwrap();
            assert_eq!(size, self.size);
            sum += frame.as_usize() as u64;
        }
        assert_eq!(black_box(sum), self.workload.sum(0));
    }

    fn row_map(&self, report: &Report) {
        report.row(self.workload.map, "cursor.map(VirtAddr, PhysAddr, PageSize)", self.pages.len(), |_| {
            let mut table = empty();
            let time = timed(|| self.map(&mut table));
            self.translate(&table);
            time
        });
    }
}

pub fn run(ram: u64, rounds: usize) {
    BASE.store(ram as usize, Relaxed);
    let report = Report { peer: "page_table_multiarch", rounds };
    let small = small_pages().map(|workload| Prepared::new(workload, PageSize::Size4K));

    for prepared in &small {
        prepared.row_map(&report);
    }
    for workload in large_pages() {
        Prepared::new(workload, PageSize::Size2M).row_map(&report);
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        let mut table = prepared.mapped();
        let row = format!("update flags 4K, {}", workload.order);
        report.row(&row, "cursor.protect(VirtAddr)", pages.len(), |round| {
            let new = if round % 2 == 0 { NO_EXECUTE } else { EXECUTABLE };
            let time = timed(|| {
                let mut cursor = table.cursor();
                for &page in pages {
                    assert_eq!(cursor.protect(page, new).unwrap(), prepared.size);
                }
            });
            for &page in pages {
                assert_eq!(table.query(page).unwrap().1, new);
            }
            time
        });
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        let table = prepared.mapped();
        report.row(&format!("translate page 4K, {}", workload.order), "query(VirtAddr)", pages.len(), |_| {
            timed(|| prepared.translate(&table))
        });
    }
    for prepared @ Prepared { workload, .. } in &small {
        let table = prepared.mapped();
        let addresses: Vec<u64> = workload.pages.iter().map(|page| page + OFFSET).collect();
        let expected = workload.sum(OFFSET);
        report.row(
            &format!("translate addr, {}", workload.order),
            "query(VirtAddr)",
            addresses.len(),
            |_| {
                timed(|| {
                    let physical = addresses.iter().map(|&at| {
                        let (address, _, _) = table.query(VirtAddr::from_usize(at as usize)).unwrap();
                        address.as_usize() as u64
                    });
                    assert_eq!(black_box(physical.sum::<u64>()), expected);
                })
            },
        );
    }
    for prepared @ Prepared { workload, pages, .. } in &small {
        report.row(&format!("unmap 4K, {}", workload.order), "cursor.unmap(VirtAddr)", pages.len(), |_| {
            let mut table = prepared.mapped();
            timed(|| prepared.unmap(&mut table))
        });
    }
}

const VIRT: usize = 0x7f00_0000_0000;
const PHYS: usize = 0x1_0000_0000;
const GIB: usize = 1 << 30;
const PAGE: usize = SIZE_4K as usize;

/// Maps neighbouring pages, of 4 KiB or the largest that fit.
fn map_region(table: &mut Table, bytes: usize, allow_huge: bool) {
    let frame = |at: VirtAddr| PhysAddr::from_usize(at.as_usize() - VIRT + PHYS);
    let at = VirtAddr::from_usize(VIRT);
    black_box(table).cursor().map_region(at, frame, bytes, NO_EXECUTE, allow_huge).unwrap();
}

fn leaves(table: &Table) -> u64 {
    let base = BASE.load(Relaxed) as u64;
    let read = |at: u64| unsafe { *std::ptr::with_exposed_provenance::<u64>((base + at) as usize) };
    LeafSum { kind: Kind::X86, levels: 4, read: &read }.of(table.root_paddr().as_usize() as u64)
}

/// The rows of `AddressSpace`: ranges, and single pages through a cursor each.
pub fn run_space(ram: u64, rounds: usize) {
    BASE.store(ram as usize, Relaxed);
    let report = Report { peer: "page_table_multiarch", rounds };
    let full = |bytes: usize, allow_huge: bool| {
        let mut table = empty();
        map_region(&mut table, bytes, allow_huge);
        table
    };
    let mapped = |row: &str, count: usize, bytes: usize, allow_huge: bool| {
        report.row_with_sum(row, "map_region", count, || {
            let mut table = empty();
            (timed(|| map_region(&mut table, bytes, allow_huge)), leaves(&table))
        });
    };
    mapped("space map 1 GiB in 4K, new tables", GIB / PAGE, GIB, false);
    mapped("space map 1 TiB in the largest pages", 1024, GIB << 10, true);

    let mut table = full(GIB, false);
    for (row, from, bytes) in
        [("space protect 1 GiB in 4K", 0, GIB), ("space protect its middle half", GIB / 4, GIB / 2)]
    {
        report.row_with_sum(row, "protect_region", 2 * bytes / PAGE, || {
            let mut time = Duration::ZERO;
            let mut sum = 0;
            for flags in [MappingFlags::READ, NO_EXECUTE] {
                let at = VirtAddr::from_usize(VIRT + from);
                time += timed(|| black_box(&mut table).cursor().protect_region(at, bytes, flags).unwrap());
                sum += leaves(&table);
            }
            (time, sum)
        });
    }
    for (row, from, bytes) in [
        ("space unmap 1 GiB in 4K", 0, GIB),
        ("space unmap its middle half", GIB / 4, GIB / 2),
        ("space unmap half, within tables", 0x12_3000, GIB / 2),
    ] {
        report.row_with_sum(row, "unmap_region", bytes / PAGE, || {
            let mut table = full(GIB, false);
            let at = VirtAddr::from_usize(VIRT + from);
            let time = timed(|| black_box(&mut table).cursor().unmap_region(at, bytes).unwrap());
            (time, leaves(&table))
        });
    }
    let in_order: Vec<u64> = (0..SPACE_PAGES).collect();
    single_pages(&report, "in order", &in_order);
    single_pages(&report, "random", &shuffled(SPACE_PAGES));
}

fn single_pages(report: &Report, order: &str, numbers: &[u64]) {
    let pages: Vec<VirtAddr> =
        numbers.iter().map(|&page| VirtAddr::from_usize(VIRT + page as usize * PAGE)).collect();
    let map = |table: &mut Table| {
        for &page in &pages {
            let frame = PhysAddr::from_usize(page.as_usize() - VIRT + PHYS);
            black_box(&mut *table).cursor().map(page, frame, PageSize::Size4K, NO_EXECUTE).unwrap();
        }
    };
    report.row_with_sum(&format!("space map a page, {order}"), "cursor().map", pages.len(), || {
        let mut table = empty();
        (timed(|| map(&mut table)), leaves(&table))
    });
    let mut table = empty();
    map(&mut table);
    report.row_with_sum(
        &format!("space protect a page, {order}"),
        "cursor().protect",
        2 * pages.len(),
        || {
            let mut time = Duration::ZERO;
            let mut sum = 0;
            for flags in [MappingFlags::READ, NO_EXECUTE] {
                time += timed(|| {
                    for &page in &pages {
                        black_box(&mut table).cursor().protect(page, flags).unwrap();
                    }
                });
                sum += leaves(&table);
            }
            (time, sum)
        },
    );
    report.row_with_sum(&format!("space unmap a page, {order}"), "cursor().unmap", pages.len(), || {
        let mut table = empty();
        map(&mut table);
        let time = timed(|| {
            for &page in &pages {
                black_box(&mut table).cursor().unmap(page).unwrap();
            }
        });
        (time, leaves(&table))
    });
}
