// Performs memory accesses and address translations under given page tables and registers of EL1, and reports what each did.
//
// The processor enters at EL2, at `start`. What to do stands in RAM at SCRIPT, and what was found goes to ANSWER; the file
// that is the guest's RAM is how both get in and out. script.mjs and ../script-writer.mjs, ../answers.mjs describe them.
//
// This program stays at EL2, where nothing is translated, whatever the tables under test are. EL1 and EL0 are entered for one
// instruction each, in a stub that ends in SVC, or right at the address of a fetch, where a BRK is. All of EL1 that is needed
// for it is the first page here: vectors, each of which is an HVC, and the stubs. The tables under test map it where the
// case's header says, once for EL1 and once for EL0.

	.arch armv8.4-a

	.set SCRIPT, 0x40600000
	.set ANSWER, 0x40c00000

// Fields of a case's header.
	.set c_pokes, 0
	.set c_operations, 4
	.set c_peeks, 8
	.set c_number, 12
	.set c_vectors, 16               // address of the first page here, for EL1
	.set c_user, 24                  // and for EL0
	.set c_sctlr, 32
	.set c_tcr, 40
	.set c_ttbr0, 48
	.set c_ttbr1, 56
	.set c_mair, 64
	.set c_arena, 72                 // bytes of the arena that it uses, a multiple of 16
	.set c_bytes, 80

// Fields of an operation.
	.set o_code, 0
	.set o_flags, 1
	.set o_stub, 2                   // offset in the image
	.set o_value, 8
	.set o_address, 16
	.set o_bytes, 24

	.set CODE_STUB, 0                // at EL1 or EL0
	.set CODE_FETCH, 1
	.set CODE_HERE, 2                // at EL2

	.set FLAG_USER, 0                // bit numbers
	.set FLAG_PAN, 1
	.set FLAG_FLUSH, 2

// A result: of the exception, its vector's number and registers; the distance from where it was expected; FAR; X0.
	.set HERE, 0xff                  // in place of a vector: at EL2, without an exception
	.set UNTOUCHED_FAR, 0x5a5a5a5a

	.set SPSR_EL1H, 0x3c5            // with interrupts masked
	.set SPSR_EL0, 0x3c0
	.set HVC64, 0x16                 // exception class

// Registers that keep their meaning. Stubs use X0 and X1.
	script .req x19                  // next unread byte
	answer .req x20                  // next unwritten byte
	header .req x21
	operation .req x22
	operations_end .req x23
	origin .req x24                  // where the exception is expected
	size_at .req x25                 // in the answer
	arena .req x26
	arena_end .req x27
	snapshot .req x28

	.macro set register, value
	movz \register, #(\value) & 0xffff
	movk \register, #(\value) >> 16, lsl #16
	.endm

// Writes 32 or 64 bits to the answer, which is a multiple of 4 long.
	.macro put register
	str \register, [answer], #4
	.endm
	.macro put64 wide, narrow
	str \narrow, [answer], #4
	lsr \wide, \wide, #32
	str \narrow, [answer], #4
	.endm
	.macro put_mark value
	set w0, \value
	put w0
	.endm

	.text
	.globl image
image:

// --- The page for EL1 and EL0 ------------------------------------------------------------------------------------

	.set vector, 0
	.rept 16
	.balign 0x80
	hvc #vector
	.set vector, vector + 1
	.endr

// Index: 8 unprivileged, 4 a store, then the binary logarithm of the size. 8 bytes each.
	.org image + 0x800
	.macro stub instruction, register
	\instruction \register, [x1]
	svc #0
	.endm
	stub ldrb, w0
	stub ldrh, w0
	stub ldr, w0
	stub ldr, x0
	stub strb, w0
	stub strh, w0
	stub str, w0
	stub str, x0
	stub ldtrb, w0
	stub ldtrh, w0
	stub ldtr, w0
	stub ldtr, x0
	stub sttrb, w0
	stub sttrh, w0
	stub sttr, w0
	stub sttr, x0

	.org image + 0x900
	.irp operation, s1e1r, s1e1w, s1e0r, s1e0w, s1e1rp, s1e1wp
	at \operation, x1
	isb
	mrs x0, par_el1
	svc #0
	.endr

// --- Operations at EL2, 16 bytes each. Address in X1, value in X0 ------------------------------------------------

	.org image + 0x1000
	.irp operation, s1e1r, s1e1w, s1e0r, s1e0w, s1e1rp, s1e1wp
	at \operation, x1
	isb
	mrs x0, par_el1
	b done_here
	.endr

	.macro here instruction:vararg
	\instruction
	dsb ish
	isb
	b done_here
	.endm
	.org image + 0x1080
	here str x0, [x1]
	.org image + 0x10c0
	.irp register, ttbr0_el1, ttbr1_el1, tcr_el1, mair_el1, sctlr_el1
	here msr \register, x0
	.endr

	.org image + 0x1200
	here tlbi vmalle1
	here tlbi vmalle1is
	here tlbi vmalle1os
	.irp operation, aside1, vae1, vale1, vaae1, vaale1, rvae1, rvale1, rvaae1, rvaale1
	here tlbi \operation, x0
	here tlbi \operation\()is, x0
	here tlbi \operation\()os, x0
	.endr

// --- Start and end -----------------------------------------------------------------------------------------------

	.org image + 0x1400
start:
	adr x0, vectors2
	msr vbar_el2, x0
	mov x0, #1 << 31                 // EL1 is AArch64
	msr hcr_el2, x0
	isb
	set x20, ANSWER                  // answer
	put_mark 0x31425754              // "TWB1"

	set x19, SCRIPT                  // script
	ldr w0, [script], #4
	set w1, 0x31585754               // "TWX1"
	cmp w0, w1
	b.ne panic
	ldp w26, w27, [script], #8       // arena; the most that a case may use
	ldp w28, w5, [script], #8        // snapshot
1:	cbz w5, next_case
	ldp w0, w1, [script], #8
	sub w5, w5, #1

// Fills X0 to X1 with blocks of 16 bytes: BRK, then words that only this address has.
	lsr w2, w0, #4
	set w3, 0x9e3779b1
	set w4, 0xd4200000
2:	cmp x0, x1
	b.hs 1b
	mul w6, w2, w3
	lsr w7, w6, #16
	orr w7, w4, w7, lsl #5
	eon w8, w2, w6
	stp w7, w2, [x0], #8
	stp w6, w8, [x0], #8
	add w2, w2, #1
	b 2b

finish:
	put_mark 0x454e4f44              // "DONE"
shut_down:
	set w0, 0x84000008               // PSCI: SYSTEM_OFF
	smc #0
	b .

// An exception of EL2 itself, or no script: the answer says which.
panic:
	put_mark 0x494e4150              // "PANI"
	mov w0, #0
	put w0
	mrs x0, esr_el2
	put w0
	mrs x0, spsr_el2
	put w0
	mrs x0, elr_el2
	put w0
	mrs x0, far_el2
	put64 x0, w0
	put64 x0, w0
	b shut_down

// --- A case ------------------------------------------------------------------------------------------------------

next_case:
	ldr w0, [script, #c_pokes]
	cmn w0, #1
	b.eq finish
	mov header, script
	add script, script, #c_bytes

// The arena is zero but for what is poked.
	ldr x1, [header, #c_arena]
	add arena_end, arena, x1
1:	cbz w0, 2f
	ldp w1, w2, [script], #8
	ldr w3, [script], #4
	stp w2, w3, [x1]
	sub w0, w0, #1
	b 1b
2:	mov x1, arena
	mov x2, snapshot
3:	ldp x3, x4, [x1], #16
	stp x3, x4, [x2], #16
	cmp x1, arena_end
	b.lo 3b

	mov operation, script
	ldr w0, [header, #c_operations]
	mov w1, #o_bytes
	umaddl operations_end, w0, w1, operation
	mov script, operations_end

	put_mark 0x45534143              // "CASE"
	ldr w0, [header, #c_number]
	put w0
	mov size_at, answer
	put wzr

	ldp x0, x1, [header, #c_tcr]
	msr tcr_el1, x0
	msr ttbr0_el1, x1
	ldp x0, x1, [header, #c_ttbr1]
	msr ttbr1_el1, x0
	msr mair_el1, x1
	ldr x0, [header, #c_vectors]
	msr vbar_el1, x0
	ldr x0, [header, #c_sctlr]
	msr sctlr_el1, x0
	dsb ish
	tlbi vmalle1
	dsb ish
	isb

next_operation:
	cmp operation, operations_end
	b.hs report
	ldrb w2, [operation, #o_code]
	ldrb w3, [operation, #o_flags]
	ldrh w4, [operation, #o_stub]
	ldp x0, x1, [operation, #o_value]
	add operation, operation, #o_bytes
	tbz w3, #FLAG_FLUSH, 1f
	tlbi vmalle1
	dsb ish
	isb
1:	cmp w2, #CODE_HERE
	b.eq 5f
	ldr x5, [header, #c_vectors]
	set w6, SPSR_EL1H
	tbz w3, #FLAG_USER, 2f
	ldr x5, [header, #c_user]
	set w6, SPSR_EL0
2:	add x5, x5, x4
	cmp w2, #CODE_FETCH
	csel origin, x1, x5, eq
	tbz w3, #FLAG_PAN, 3f
	orr w6, w6, #1 << 22
3:	msr elr_el2, origin
	msr spsr_el2, x6
	set w7, UNTOUCHED_FAR
	msr far_el1, x7
	isb
	eret

5:	msr pan, #0
	tbz w3, #FLAG_PAN, 6f
	msr pan, #1
6:	adr x5, image
	add x5, x5, x4
	br x5

done_here:
	mov w2, #HERE
	put w2
	put wzr
	put wzr
	put wzr
	mov x3, #0
	put64 x3, w3
	put64 x0, w0
	b next_operation

// An HVC of EL1's vectors: what it says and what EL1 has of its exception.
lower_exception:
	mrs x2, esr_el2
	lsr w3, w2, #26
	cmp w3, #HVC64
	b.ne panic
	and w2, w2, #0xff
	put w2
	mrs x3, esr_el1
	put w3
	mrs x3, spsr_el1
	put w3
	mrs x3, elr_el1
	sub x3, x3, origin
	put w3
	mrs x3, far_el1
	put64 x3, w3
	put64 x0, w0
	b next_operation

// Changed words of the arena, which becomes zero again, and the words asked for.
report:
	sub x0, answer, size_at
	sub x0, x0, #4
	str w0, [size_at]
	mov x1, arena
	mov x2, snapshot
1:	ldp x3, x4, [x1]
	stp xzr, xzr, [x1], #16
	ldp x5, x6, [x2], #16
	cmp x3, x5
	ccmp x4, x6, #0, eq
	b.ne 4f
2:	cmp x1, arena_end
	b.lo 1b
	mov w0, #-1
	put w0

	ldr w0, [header, #c_peeks]
3:	cbz w0, next_case
	ldr w1, [script], #4
	ldp w2, w3, [x1]
	stp w2, w3, [answer], #8
	sub w0, w0, #1
	b 3b

4:	sub w7, w1, #16
	mov w8, #2
5:	put w7
	put w3
	add w7, w7, #4
	put w7
	lsr x3, x3, #32
	put w3
	add w7, w7, #4
	mov x3, x4
	sub w8, w8, #1
	cbnz w8, 5b
	b 2b

	.balign 0x800
vectors2:
	.set vector, 0
	.rept 16
	.balign 0x80
	.ifeq vector - 8
	b lower_exception
	.else
	b panic
	.endif
	.set vector, vector + 1
	.endr
	.balign 0x80
