# Performs memory accesses under given page tables and control registers, and reports what each did.
#
# One source for RV64 and RV32: the symbol XLEN is 64 or 32. The processor enters in M mode at the image's first byte. What to
# do stands in RAM at SCRIPT, and what was found goes to ANSWER; the file that is the guest's RAM is how both get in and out.
# script.mjs and ../script-writer.mjs, ../answers.mjs describe them.
#
# This program stays in M mode, where nothing is translated, whatever the tables under test are. S and U mode are entered for
# one instruction each, in a stub that ends in ECALL, or right at the address of a fetch, where an illegal instruction is. The
# tables under test map the first page here where the case's header says, once for S and once for U mode. Stubs that run in
# M mode are for all else, and for accesses that MPRV translates.

	.set SCRIPT, 0x80600000
	.set ANSWER, 0x80c00000
	.set SHUT_DOWN, 0x100000         # a device of QEMU's machine

# Fields of a case's header.
	.set c_pokes, 0
	.set c_operations, 4
	.set c_peeks, 8
	.set c_number, 12
	.set c_super, 16                 # address of the first page here, for S mode
	.set c_user, 24                  # and for U mode
	.set c_satp, 32
	.set c_menvcfg, 40
	.set c_arena, 48                 # bytes of the arena that it uses, a multiple of 32
	.set c_bytes, 56

# Fields of an operation.
	.set o_stub, 0                   # offset in the image
	.set o_flags, 2
	.set o_status, 4                 # bits of mstatus
	.set o_value, 8
	.set o_address, 16
	.set o_bytes, 24

	.set FLAG_FETCH, 1
	.set FLAG_MACHINE, 2             # in M mode
	.set FLAG_USER, 4                # in U mode
	.set FLAG_FLUSH, 8

	.set MPRV, 1 << 17
	.set MPP_SHIFT, 11

	.set PMP_ALL, 0x1f               # all of memory, for everything

# A result: cause; the distance from where the exception was expected; the mode it came from; 0; mtval; a0.

# Registers that keep their meaning. Stubs use a0 and a1.
#   s0  script: next unread byte
#   s1  answer: next unwritten byte
#   s2  header
#   s3  operation
#   s4  end of the operations
#   s5  where the exception is expected
#   s6  in the answer, the number of bytes of results of a case whose operations are being done, or 0
#   s7  arena
#   s8  its end
#   s9  snapshot
#   s10 mstatus at rest
#   s11 whether an exception is expected

	.option norvc
	.option norelax

	.set WIDTH, XLEN / 8
	.if XLEN == 64
	.macro load_x register, offset, base
	ld \register, \offset(\base)
	.endm
	.macro store_x register, offset, base
	sd \register, \offset(\base)
	.endm
	.macro load_u register, offset, base
	lwu \register, \offset(\base)
	.endm
	.else
	.macro load_x register, offset, base
	lw \register, \offset(\base)
	.endm
	.macro store_x register, offset, base
	sw \register, \offset(\base)
	.endm
	.macro load_u register, offset, base
	lw \register, \offset(\base)
	.endm
	.endif

# Writes 32 or 64 bits to the answer, which is a multiple of 4 long.
	.macro put register
	sw \register, 0(s1)
	addi s1, s1, 4
	.endm
	.macro put64 register
	put \register
	.if XLEN == 64
	srli \register, \register, 32
	put \register
	.else
	put zero
	.endif
	.endm
	.macro put_mark value
	li t0, \value
	put t0
	.endm

	.text
	.globl image
image:
	j start

# --- Stubs: address in a1, value in a0. 8 bytes each -------------------------------------------------------------

	.org image + 0x100
	.macro stub instruction:vararg
	\instruction
	ecall
	.endm
# Only RV64 has it.
	.macro stub64 instruction:vararg
	.if XLEN == 64
	stub \instruction
	.else
	stub nop
	.endif
	.endm
	stub lbu a0, 0(a1)
	stub lhu a0, 0(a1)
	stub lw a0, 0(a1)
	stub64 ld a0, 0(a1)
	stub sb a0, 0(a1)
	stub sh a0, 0(a1)
	stub sw a0, 0(a1)
	stub64 sd a0, 0(a1)
	.irp operation, amoswap, amoadd, amoor
	stub \operation\().w a0, a0, (a1)
	stub64 \operation\().d a0, a0, (a1)
	.endr

	.org image + 0x200
	stub csrw satp, a0
	stub csrw 0x30a, a0              # menvcfg
	stub sfence.vma
	stub sfence.vma a1
	stub sfence.vma x0, a0
	stub sfence.vma a1, a0

# --- Start and end -----------------------------------------------------------------------------------------------

	.org image + 0x400
start:
	la t0, trap
	csrw mtvec, t0
	li s6, 0
	li s11, 0
	li t0, -1
	csrw pmpaddr0, t0
	li t0, PMP_ALL
	csrw pmpcfg0, t0
	csrw mie, zero
	li t0, MPRV | (3 << MPP_SHIFT)
	csrc mstatus, t0
	csrr s10, mstatus

	li s1, ANSWER
	put_mark 0x31425754              # "TWB1"
	li s0, SCRIPT
	lw t0, 0(s0)
	li t1, 0x31585754                # "TWX1"
	bne t0, t1, panic
	load_u s7, 4, s0                 # arena; behind it the most that a case may use
	load_u s9, 12, s0
	lw t5, 16(s0)
	addi s0, s0, 20
1:	beqz t5, next_case
	load_u t0, 0, s0
	load_u t1, 4, s0
	addi s0, s0, 8
	addi t5, t5, -1

# Fills t0 to t1 with blocks of 16 bytes: an illegal instruction, then words that only this address has.
	li t2, 0x9e3779b1
2:	bgeu t0, t1, 1b
	srli t3, t0, 4
	mul t4, t3, t2
	andi t6, t4, -128
	ori t6, t6, 0x0b
	sw t6, 0(t0)
	sw t3, 4(t0)
	sw t4, 8(t0)
	not t4, t4
	xor t4, t4, t3
	sw t4, 12(t0)
	addi t0, t0, 16
	j 2b

finish:
	put_mark 0x454e4f44              # "DONE"
shut_down:
	li t0, SHUT_DOWN
	li t1, 0x5555
	sw t1, 0(t0)
	j .

# An exception of this program itself, or no script: the answer says which, in place of that of the case that is not complete.
panic:
	beqz s6, 1f
	addi s1, s6, -8
1:	put_mark 0x494e4150              # "PANI"
	csrr t0, mcause
	put t0
	csrr t0, mepc
	put t0
	put zero
	put zero
	csrr t0, mtval
	put64 t0
	put64 a0
	j shut_down

# --- A case ------------------------------------------------------------------------------------------------------

next_case:
	lw t0, c_pokes(s0)
	li t1, -1
	beq t0, t1, finish
	mv s2, s0
	addi s0, s0, c_bytes

# The arena is zero but for what is poked.
	load_x s8, c_arena, s2
	add s8, s8, s7
1:	beqz t0, 2f
	load_u t1, 0, s0
	lw t2, 4(s0)
	lw t3, 8(s0)
	addi s0, s0, 12
	sw t2, 0(t1)
	sw t3, 4(t1)
	addi t0, t0, -1
	j 1b
2:	mv t1, s7
	mv t2, s9
3:	load_x t3, 0, t1
	load_x t4, WIDTH, t1
	load_x t5, 2*WIDTH, t1
	load_x t6, 3*WIDTH, t1
	store_x t3, 0, t2
	store_x t4, WIDTH, t2
	store_x t5, 2*WIDTH, t2
	store_x t6, 3*WIDTH, t2
	addi t1, t1, 4*WIDTH
	addi t2, t2, 4*WIDTH
	bltu t1, s8, 3b

	mv s3, s0
	lw t0, c_operations(s2)
	li t1, o_bytes
	mul t0, t0, t1
	add s4, s3, t0
	mv s0, s4

	put_mark 0x45534143              # "CASE"
	lw t0, c_number(s2)
	put t0
	mv s6, s1
	put zero

	.if XLEN == 64
	load_x t0, c_menvcfg, s2
	csrw 0x30a, t0
	.endif
	load_x t0, c_satp, s2
	csrw satp, t0
	sfence.vma

next_operation:
	bgeu s3, s4, report
	lhu t0, o_stub(s3)
	lhu t1, o_flags(s3)
	load_u t2, o_status, s3
	load_x a0, o_value, s3
	load_x a1, o_address, s3
	addi s3, s3, o_bytes
	andi t3, t1, FLAG_FLUSH
	beqz t3, 1f
	sfence.vma
1:	fence.i
	andi t3, t1, FLAG_MACHINE
	bnez t3, 4f
	load_x s5, c_super, s2
	andi t3, t1, FLAG_USER
	beqz t3, 2f
	load_x s5, c_user, s2
2:	add s5, s5, t0
	andi t3, t1, FLAG_FETCH
	beqz t3, 3f
	mv s5, a1
3:	li s11, 1
	or t2, t2, s10
	csrw mstatus, t2
	csrw mepc, s5
	mret

4:	la s5, image
	add s5, s5, t0
	li s11, 1
	or t2, t2, s10
	csrw mstatus, t2                 # from here on MPRV may be set
	jr s5

	.balign 4
trap:
	beqz s11, panic
	li s11, 0
	csrr t0, mstatus                 # MPP is the mode it came from, so in M mode nothing is translated
	csrr t1, mcause
	put t1
	csrr t1, mepc
	sub t1, t1, s5
	put t1
	srli t1, t0, MPP_SHIFT
	andi t1, t1, 3
	put t1
	put zero
	csrr t1, mtval
	put64 t1
	put64 a0
	li t1, MPRV
	csrc mstatus, t1
	j next_operation

# Changed words of the arena, which becomes zero again, and the words asked for.
report:
	sub t0, s1, s6
	addi t0, t0, -4
	sw t0, 0(s6)
	li s6, 0
	mv t1, s7
	mv t2, s9
1:	load_x t3, 0, t1
	load_x t4, WIDTH, t1
	store_x zero, 0, t1
	store_x zero, WIDTH, t1
	load_x t5, 0, t2
	load_x t6, WIDTH, t2
	bne t3, t5, 4f
	bne t4, t6, 4f
2:	addi t1, t1, 2*WIDTH
	addi t2, t2, 2*WIDTH
	bltu t1, s8, 1b
	li t0, -1
	put t0

	lw t0, c_peeks(s2)
3:	beqz t0, next_case
	load_u t1, 0, s0
	lw t2, 0(t1)
	lw t3, 4(t1)
	put t2
	put t3
	addi s0, s0, 4
	addi t0, t0, -1
	j 3b

4:	mv t5, t1
	.irp register, t3, t4
	put t5
	put \register
	addi t5, t5, 4
	.if XLEN == 64
	srli \register, \register, 32
	put t5
	put \register
	addi t5, t5, 4
	.endif
	.endr
	j 2b
