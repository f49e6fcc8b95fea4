//! What both peers share: guest RAM, the pages of each row, the clock and the report.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::collections::HashSet;
use std::time::{Duration, Instant};

pub const SIZE_4K: u64 = 0x1000;
pub const SIZE_2M: u64 = 0x20_0000;

/// Guest RAM, which holds nothing but tables: 64 GiB of scattered 4-KiB pages need 128 MiB and a little more.
pub const RAM_SIZE: u64 = 192 << 20;

/// Pages of the rows of `AddressSpace` that change one page a call.
pub const SPACE_PAGES: u64 = 65_536;

/// Offset in a page of the addresses that are translated.
pub const OFFSET: u64 = 0x123;

const WARM_UP: Duration = Duration::from_millis(100);

/// Zeroed guest RAM, which lives as long as the program; physical address p is at the returned address + p.
pub fn guest_ram() -> u64 {
    let layout = Layout::from_size_align(RAM_SIZE as usize, SIZE_4K as usize).unwrap();
    let ram = unsafe { alloc_zeroed(layout) };
    if ram.is_null() {
        handle_alloc_error(layout);
    }
    ram.expose_provenance() as u64
}

/// Pages to map, in this order, and the names of the rows that do it.
pub struct Workload {
    pub map: &'static str,
    /// Ends the names of the rows that update, translate and unmap the pages.
    pub order: &'static str,
    pub clean_up: &'static str,
    /// Addresses of the pages.
    pub pages: Vec<u64>,
    first_frame: u64,
    page_size: u64,
}

impl Workload {
    /// Physical addresses of the frames, one for each page.
    pub fn frames(&self) -> impl Iterator<Item = u64> {
        (0..self.pages.len() as u64).map(|i| self.first_frame + i * self.page_size)
    }

    /// Sum of the physical addresses that `offset` in each page translates to.
    pub fn sum(&self, offset: u64) -> u64 {
        let count = self.pages.len() as u64;
        count * (self.first_frame + offset) + count * (count - 1) / 2 * self.page_size
    }

    /// How many tables below the root the pages need, if they are 4-KiB pages.
    pub fn tables(&self) -> usize {
        let spans = |shift: u32| self.pages.iter().map(|page| page >> shift).collect::<HashSet<_>>().len();
        spans(21) + spans(30) + spans(39)
    }
}

/// 1 GiB of 4-KiB pages in order, and as many pages scattered over 64 GiB.
pub fn small_pages() -> [Workload; 2] {
    const COUNT: u64 = 262_144;
    let in_order = (0..COUNT).map(|i| 0x7f00_0000_0000 + i * SIZE_4K);
    // A linear congruential generator of full period: it meets each of the 2^24 pages once.
    let mut at = 0u64;
    let random = (0..COUNT).map(|_| {
        at = (at * 1_664_525 + 1_013_904_223) % (1 << 24);
        0x100_0000_0000 + at * SIZE_4K
    });
    let workload = |map, order, clean_up, pages| Workload {
        map,
        order,
        clean_up,
        pages,
        first_frame: 0x1_0000_0000,
        page_size: SIZE_4K,
    };
    [
        workload("map 4K, 262144 in order", "in order", "clean up, 514 tables", in_order.collect()),
        workload("map 4K, 262144 random over 64 GiB", "random", "clean up, random", random.collect()),
    ]
}

/// 1 GiB and 64 GiB of 2-MiB pages in order. They are only mapped, so other rows have no name.
pub fn large_pages() -> [Workload; 2] {
    [("map 2M, 512 in order", 512), ("map 2M, 32768 in order", 32_768)].map(|(map, count)| Workload {
        map,
        order: "",
        clean_up: "",
        pages: (0..count).map(|i| 0x7f00_0000_0000 + i * SIZE_2M).collect(),
        first_frame: 0,
        page_size: SIZE_2M,
    })
}

/// Runs the rows of one peer and prints a JSON line for each.
pub struct Report {
    pub peer: &'static str,
    pub rounds: usize,
}

impl Report {
    /// Runs `pass(round)` once to warm up and then `rounds` times. Each pass does `count` operations and returns the
    /// time they took, without whatever it did to set them up.
    pub fn row(&self, row: &str, interface: &str, count: usize, mut pass: impl FnMut(usize) -> Duration) {
        pass(0);
        let times: Vec<Duration> = (1..=self.rounds).map(pass).collect();
        self.print(row, interface, count, &times, "");
    }

    /// As `row`, for passes that also return what says that they were right: the same each time, and for each side.
    pub fn row_with_sum(
        &self,
        row: &str,
        interface: &str,
        count: usize,
        mut pass: impl FnMut() -> (Duration, u64),
    ) {
        let (_, expected) = pass();
        // These passes take half a millisecond: a processor that has rested is slow for longer than that.
        let start = Instant::now();
        while start.elapsed() < WARM_UP {
            pass();
        }
        let times: Vec<Duration> = (1..=self.rounds)
            .map(|_| {
                let (time, sum) = pass();
                assert_eq!(sum, expected, "{row}");
                time
            })
            .collect();
        self.print(row, interface, count, &times, &format!(r#","sum":{expected}"#));
    }

    fn print(&self, row: &str, interface: &str, count: usize, times: &[Duration], rest: &str) {
        let ns: Vec<String> =
            times.iter().map(|time| format!("{:.3}", time.as_nanos() as f64 / count as f64)).collect();
        println!(
            r#"{{"peer":"{}","row":"{row}","interface":"{interface}","count":{count},"ns":[{}]{rest}}}"#,
            self.peer,
            ns.join(",")
        );
    }
}

/// Time that the work takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A checksum of all entries, which tablewalk's side computes in halves.
pub fn checksum(entries: impl Iterator<Item = u64>) -> u64 {
    let mix = |hash: u32, half: u32| (hash ^ half).wrapping_mul(0x0100_0193);
    u64::from(entries.fold(0, |hash, entry| mix(mix(hash, entry as u32), (entry >> 32) as u32)))
}

/// Numbers of as many pages, each once: a linear congruential generator, of full period for a power of 2.
pub fn shuffled(pages: u64) -> Vec<u64> {
    let mut at = 0u64;
    (0..pages)
        .map(|_| {
            at = (at * 1_664_525 + 1_013_904_223) % pages;
            at
        })
        .collect()
}

/// Kinds of tables of 512 entries of 64 bits, for `leaf_checksum`.
pub enum Kind {
    X86,
    Aarch64,
}

impl Kind {
    /// Whether a present entry above the last level leads to a table.
    fn is_table(&self, entry: u64) -> bool {
        match self {
            Self::X86 => entry & 1 << 7 == 0,
            Self::Aarch64 => entry & 1 << 1 != 0,
        }
    }

    /// Bits that are not compared: marks of use (x86: A and D), which not every crate sets.
    fn ignored(&self) -> u64 {
        match self {
            Self::X86 => 0x60,
            Self::Aarch64 => 0,
        }
    }
}

/// A checksum of all pages that tables map: their numbers and entries, wherever the tables lie.
pub struct LeafSum<'a> {
    pub kind: Kind,
    pub levels: u32,
    /// Reads the entry at a physical address.
    pub read: &'a dyn Fn(u64) -> u64,
}

impl LeafSum<'_> {
    pub fn of(&self, root: u64) -> u64 {
        u64::from(self.table(root, self.levels - 1, 0, 0))
    }

    fn table(&self, table: u64, above: u32, page: u64, hash: u32) -> u32 {
        let mix = |hash: u32, half: u64| (hash ^ half as u32).wrapping_mul(0x0100_0193);
        (0..512).fold(hash, |hash, index| {
            let entry = (self.read)(table + index * 8);
            let page = page + (index << (9 * above));
            if entry & 1 == 0 {
                hash
            } else if above > 0 && self.kind.is_table(entry) {
                self.table(entry & 0xffff_ffff_f000, above - 1, page, hash)
            } else {
                let shown = entry & !self.kind.ignored();
                [page, shown, shown >> 32].into_iter().fold(hash, mix)
            }
        })
    }
}
