//! `RecursivePageTable` of the crate `x86_64`: the rows of `OffsetPageTable`, and one for tables that are there.
//!
//! The crate reaches each table at a virtual address, its window, which entry R of the root makes: R,R,R,R is the
//! root's, R,R,R,i4 that of a P3, R,R,i4,i3 that of a P2, and R,i4,i3,i2 that of a P1. In a kernel the processor walks
//! these same tables to find a window. Here the process's own tables stand in for them: guest RAM is a file in memory,
//! and each window is a mapping of its table's frame, made before anything is timed. `Frames` hands out the frames in
//! the same order in each pass, so every table comes back to the frame of its window.
//!
//! Timed are the crate's instructions and the TLB misses at the windows. The system maps them page by page, so a miss
//! walks four levels of tables, laid out as those of the guest. Yet they are not those of the guest, so they need
//! room of their own in the caches, and in a virtual machine each step of the walk needs a walk. Not timed are page
//! faults, of which there are none, and flushes: they are ignored, as in all rows.

use std::fs::File;
use std::io::Error;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};

use x86_64::structures::paging::{
    PageSize, PageTable, PageTableFlags, PageTableIndex, RecursivePageTable, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

use crate::mapper::{Frames, Prepared, Rows};
use crate::offset;
use crate::rows::{RAM_SIZE, Report, small_pages};

/// Its windows are the 512 GiB from 0x3200_0000_0000, where Linux puts nothing of a process by itself.
const R: u16 = 100;

/// Window of the root: R,R,R,R.
const ROOT: u64 = (R as u64) << 39 | (R as u64) << 30 | (R as u64) << 21 | (R as u64) << 12;

/// Guest RAM in a file, so that its frames can be mapped at several addresses.
struct Ram {
    file: File,
    /// Where all of it is mapped, for a mapper that needs no windows.
    base: u64,
}

impl Ram {
    fn new() -> Self {
        let fd = unsafe { libc::memfd_create(c"guest".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "memfd_create: {}", Error::last_os_error());
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(RAM_SIZE).unwrap();
        let mut ram = Self { file, base: 0 };
        ram.base = ram.mmap(0, RAM_SIZE, 0, 0);
        ram
    }

    /// Maps bytes from `offset` on at this address, where nothing may be, or at one that the system chooses.
    fn mmap(&self, address: u64, size: u64, flags: libc::c_int, offset: u64) -> u64 {
        let at = unsafe {
            libc::mmap(
                address as *mut libc::c_void,
                size as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | flags,
                self.file.as_raw_fd(),
                offset as libc::off_t,
            )
        };
        assert!(at != libc::MAP_FAILED, "mmap at {address:#x}: {}", Error::last_os_error());
        at.expose_provenance() as u64
    }

    /// Maps the frame of a table at its window.
    fn open(&self, window: u64, frame: u64) {
        let at = self.mmap(window, Size4KiB::SIZE, libc::MAP_FIXED_NOREPLACE, frame);
        assert_eq!(at, window);
    }

    /// Opens the windows of all tables below a table of this level.
    fn open_below(&self, level: u8, window: u64, frame: u64) {
        let table = unsafe { &*((self.base + frame) as *const PageTable) };
        for (i, entry) in (0u64..).zip(table.iter()) {
            if let Ok(next) = entry.frame() {
                // One R less at the front, one more index at the end.
                let next_window = (window << 9 | i << 12) & 0xffff_ffff_f000;
                let next = next.start_address().as_u64();
                self.open(next_window, next);
                if level > 2 {
                    self.open_below(level - 1, next_window, next);
                }
            }
        }
    }

    /// Opens the windows of all tables that the pages need, and checks that they are the right ones. The random pages
    /// need 32,833 mappings; Linux allows 65,530 (`vm.max_map_count`).
    fn open_all(&self, prepared: &Prepared<Size4KiB>) {
        let (mut mapper, mut frames) = offset::empty(self.base);
        prepared.map(&mut mapper, &mut frames);
        self.open_below(4, ROOT, 0);
        // The first pass meets a page fault at each window. What is timed must meet none.
        let settled = (0..10).any(|_| {
            let (mut recursive, mut frames) = empty();
            let before = faults();
            prepared.map(&mut recursive, &mut frames);
            prepared.translate(&recursive);
            let met = faults() - before;
            prepared.translate(&mapper);
            prepared.unmap(&mut recursive);
            met == 0
        });
        assert!(settled, "every pass meets page faults");
    }
}

/// A mapper of a root table in frame 0 that is empty but for entry R.
fn empty() -> (RecursivePageTable<'static>, Frames) {
    let root = unsafe { &mut *VirtAddr::new(ROOT).as_mut_ptr::<PageTable>() };
    root.zero();
    root[usize::from(R)].set_addr(PhysAddr::zero(), PageTableFlags::PRESENT | PageTableFlags::WRITABLE);
    (unsafe { RecursivePageTable::new_unchecked(root, PageTableIndex::new(R)) }, Frames::all())
}

/// Page faults of this process so far.
fn faults() -> i64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        let usage = usage.assume_init();
        usage.ru_minflt + usage.ru_majflt
    }
}

pub fn run(rounds: usize) {
    let report = Report { peer: "x86_64", rounds };
    let rows = Rows { report: &report, prefix: "recursive ", empty };
    let small = small_pages().map(Prepared::<Size4KiB>::from);
    let ram = Ram::new();
    ram.open(ROOT, 0);
    small.iter().for_each(|prepared| ram.open_all(prepared));

    small.iter().for_each(|prepared| rows.map(prepared));
    small.iter().for_each(|prepared| rows.map_again(prepared));
    small.iter().for_each(|prepared| rows.update_flags(prepared));
    small.iter().for_each(|prepared| rows.translate_page(prepared));
    small.iter().for_each(|prepared| rows.translate_addr(prepared));
    small.iter().for_each(|prepared| rows.unmap(prepared));
}
