# Performs memory accesses under given page tables and control registers, and reports what each one did.
#
# The end of a ROM: the processor enters at the last 16 bytes, from where it copies itself to RAM at WINDOW. What to do
# stands at the ROM's beginning, SCRIPT; what was found goes to port 0xE9, byte by byte. script.mjs describes both.
#
# Each case starts and ends at home: 32-bit protected mode without paging. For a case the tables under test are switched
# on; they map WINDOW to itself (layout.mjs), and nothing else of this program is needed then. An access runs in a stub
# that ends in INT 0x80, or it jumps to a byte that is INT3. Every exception and interrupt ends in the same place, which
# writes a result and goes on with the next operation on a fresh stack.

	.set WINDOW, 0x03400000
	.set SCRIPT, 0xffe00000              # the ROM has 2 MiB
	.set IMAGE_BYTES, 0x1000
	.set ROM, 0x100000000 - IMAGE_BYTES

# Behind the image, all in WINDOW.
	.set IDT32, WINDOW + 0x4000
	.set IDT64, WINDOW + 0x4800
	.set TSS32, WINDOW + 0x5800
	.set TSS64, WINDOW + 0x5900
	.set STACK, WINDOW + 0x7000          # at home
	.set CASE_STACK, STACK - 64          # during a case; below what run has to return to
	.set VARIABLES, WINDOW + 0x7000
	.set OPERATIONS, WINDOW + 0x8000
	.set RESULTS, WINDOW + 0xa000
# The first page of the image again, for CPL 3. Exists only under paging.
	.set USER_STUBS, WINDOW + 0x1f000

	.set OPERATION_BYTES, 32
	.set RESULT_BYTES, 24

	.set v_operation, VARIABLES          # next operation
	.set v_operations_end, VARIABLES + 8
	.set v_result, VARIABLES + 16        # where the next result goes
	.set v_start, VARIABLES + 24         # instruction that may fault
	.set v_after, VARIABLES + 32         # where to go after an exception
	.set v_script, VARIABLES + 40        # next unread byte of the script
	.set v_case, VARIABLES + 48          # header of the current case
	.set v_arena, VARIABLES + 56
	.set v_arena_words, VARIABLES + 60
	.set v_snapshot, VARIABLES + 64
	.set v_word, VARIABLES + 72
	.set v_cr4, VARIABLES + 80

# Fields of a case's header.
	.set c_pokes, 0
	.set c_operations, 4
	.set c_peeks, 8
	.set c_flags, 12
	.set c_cr0, 16
	.set c_cr3, 24
	.set c_cr4, 32
	.set c_efer, 40
	.set c_pkru, 48
	.set c_pkrs, 52
	.set c_number, 56
	.set c_bytes, 64

	.set CASE_64BIT, 1
	.set CASE_PKU, 2                     # the processor has PKRU
	.set CASE_PKS, 4                     # the processor has IA32_PKRS

# Fields of an operation. At 8 it is also an INVPCID descriptor.
	.set o_code, 0
	.set o_flags, 1
	.set o_stub, 2
	.set o_selector, 4
	.set o_value, 8
	.set o_address, 16

	.set FLAG_USER, 1
	.set FLAG_AC, 2
	.set FLAG_FLUSH, 4

# Fields of a result.
	.set r_vector, 0
	.set r_from_cpl, 1
	.set r_error, 2
	.set r_distance, 4                   # saved instruction pointer minus v_start
	.set r_cr2, 8
	.set r_value, 16

	.set CODE32, 0x08
	.set DATA, 0x10
	.set CODE64, 0x18
	.set USER_DATA, 0x23
	.set USER_CODE32, 0x2b
	.set USER_CODE64, 0x33
	.set SELECTOR_TSS32, 0x38
	.set SELECTOR_TSS64, 0x40

	.set CR4_PGE, 1 << 7
	.set CR4_PCIDE, 1 << 17
	.set CR4_PKE, 1 << 22
	.set MSR_EFER, 0xc0000080
	.set MSR_PKRS, 0x6e1
	.set RFLAGS_AC, 1 << 18
	.set UNTOUCHED_CR2, 0x5a5a5a5a

	.set DONE, 0x80
	.set PORT_OUTPUT, 0xe9

	.text
	.globl image
image:

# --- Stubs: one access each. Address in rdx and rbp, value in rax (32-bit code: 8 bytes in mm0) ----------------

# Index: 8 through the stack segment, 4 write, then the binary logarithm of the size. 16 bytes each.
	.code64
stubs64:
	.irp at, %rdx, %rbp
	.balign 16
	movb (\at), %al
	int $DONE
	.balign 16
	movw (\at), %ax
	int $DONE
	.balign 16
	movl (\at), %eax
	int $DONE
	.balign 16
	movq (\at), %rax
	int $DONE
	.balign 16
	movb %al, (\at)
	int $DONE
	.balign 16
	movw %ax, (\at)
	int $DONE
	.balign 16
	movl %eax, (\at)
	int $DONE
	.balign 16
	movq %rax, (\at)
	int $DONE
	.endr

	.code32
	.balign 16
stubs32:
	.irp at, %edx, %ebp
	.balign 16
	movb (\at), %al
	int $DONE
	.balign 16
	movw (\at), %ax
	int $DONE
	.balign 16
	movl (\at), %eax
	int $DONE
	.balign 16
	movq (\at), %mm0
	movd %mm0, %eax
	psrlq $32, %mm0
	movd %mm0, %ebx
	int $DONE
	.balign 16
	movb %al, (\at)
	int $DONE
	.balign 16
	movw %ax, (\at)
	int $DONE
	.balign 16
	movl %eax, (\at)
	int $DONE
	.balign 16
	movq %mm0, (\at)
	int $DONE
	.endr

# --- From reset to home ------------------------------------------------------------------------------------------

	.code16
start16:
	cli
	lgdtl %cs:rom_gdtr - image + 0x10000 - IMAGE_BYTES
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE32, $ROM + (start32 - image)

	.code32
start32:
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	inb $0x92, %al                       # A20
	orb $2, %al
	andb $0xfe, %al
	outb %al, $0x92
	cld
	movl $ROM, %esi
	movl $WINDOW, %edi
	movl $IMAGE_BYTES / 4, %ecx
	rep movsl
	ljmp $CODE32, $main

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00af9b000000ffff
	.quad 0x00cff3000000ffff
	.quad 0x00cffb000000ffff
	.quad 0x00affb000000ffff
gdt_tss32:
	.word 0x67, TSS32 & 0xffff
	.byte (TSS32 >> 16) & 0xff, 0x89, 0, TSS32 >> 24
gdt_tss64:
	.word 0x67, TSS64 & 0xffff
	.byte (TSS64 >> 16) & 0xff, 0x89, 0, TSS64 >> 24
	.quad 0
gdt_end:
rom_gdtr:
	.word gdt_end - gdt - 1
	.long ROM + (gdt - image)
gdtr:
	.word gdt_end - gdt - 1
	.quad gdt
idtr32:
	.word 0x81 * 8 - 1
	.quad IDT32
idtr64:
	.word 0x81 * 16 - 1
	.quad IDT64

main:
	movl $STACK, %esp
	lgdt gdtr
	movw $USER_DATA, %ax                 # good at both privilege levels
	movw %ax, %ds
	movw %ax, %es

	# All of WINDOW behind the image to zero, then the tables that the processor needs.
	movl $WINDOW + IMAGE_BYTES, %edi
	movl $(0x10000 - IMAGE_BYTES) / 4, %ecx
	xorl %eax, %eax
	rep stosl
	movl $CASE_STACK, TSS32 + 4
	movl $DATA, TSS32 + 8
	movl $CASE_STACK, TSS64 + 4
	movw $0x68, TSS32 + 0x66
	movw $0x68, TSS64 + 0x66
	xorl %ecx, %ecx
1:	call set_gates
	incl %ecx
	cmpl $32, %ecx
	jb 1b
	movl $DONE, %ecx
	call set_gates
	lidt idtr32
	movl $panic, v_after
	movl $RESULTS, v_result

	movl $SCRIPT, %esi
	cmpl $0x31585754, (%esi)             # "TWX1"
	jne panic
	movl 4(%esi), %eax
	movl %eax, v_arena
	movl 8(%esi), %eax
	shrl $2, %eax
	movl %eax, v_arena_words
	movl 12(%esi), %eax
	movl %eax, v_snapshot
	movl 16(%esi), %ebp
	addl $20, %esi
1:	decl %ebp
	js 2f
	lodsl
	movl %eax, %edi
	lodsl
	call fill
	jmp 1b
2:	movl %esi, v_script

	movl $0x31425754, v_word             # "TWB1"
	call send_word
next_case:
	movl v_script, %esi
	cmpl $-1, c_pokes(%esi)
	je finish
	call prepare
	call run
	call report
	jmp next_case

finish:
	movl $0x454e4f44, v_word             # "DONE"
	call send_word
shut_down:
	movw $0xf4, %dx                      # QEMU's isa-debug-exit
	xorl %eax, %eax
	outl %eax, %dx
	movw $0x8900, %dx                    # Bochs
	movl $shutdown_text, %esi
	movl $8, %ecx
	rep outsb
1:	hlt
	jmp 1b
shutdown_text:
	.ascii "Shutdown"

# An exception at home, or no script: the results say which.
panic:
	movl $0x494e4150, v_word             # "PANI"
	call send_word
	movl $RESULTS, %esi
	movl $RESULT_BYTES, %ecx
	call send
	jmp shut_down

# Gates of vector ecx in both tables. INT3 and INT 0x80 may come from CPL 3.
set_gates:
	movl $0x8e00, %edx
	cmpl $3, %ecx
	je 1f
	cmpl $DONE, %ecx
	jne 2f
1:	movl $0xee00, %edx
2:	movl %ecx, %eax
	shll $4, %eax
	cmpl $DONE, %ecx
	jne 3f
	movl $32 << 4, %eax
3:	leal handlers32(%eax), %ebx
	leal handlers64(%eax), %eax
	leal IDT32(,%ecx,8), %edi
	movw %bx, (%edi)
	movw $CODE32, 2(%edi)
	movw %dx, 4(%edi)
	shrl $16, %ebx
	movw %bx, 6(%edi)
	movl %ecx, %edi
	shll $4, %edi
	addl $IDT64, %edi
	movw %ax, (%edi)
	movw $CODE64, 2(%edi)
	movw %dx, 4(%edi)
	shrl $16, %eax
	movw %ax, 6(%edi)
	ret

# Fills edi to eax with blocks of 16 bytes: four INT3, then words that only this address has.
fill:
	movl %edi, %ecx
	shrl $4, %ecx
1:	cmpl %eax, %edi
	jae 2f
	imull $0x9e3779b1, %ecx, %edx
	movl $0xcccccccc, (%edi)
	movl %ecx, 4(%edi)
	movl %edx, 8(%edi)
	notl %edx
	xorl %ecx, %edx
	movl %edx, 12(%edi)
	addl $16, %edi
	incl %ecx
	jmp 1b
2:	ret

# Sends ecx bytes from esi.
send:
	movw $PORT_OUTPUT, %dx
	rep outsb
	ret
send_word:
	movl $v_word, %esi
	movl $4, %ecx
	jmp send

# --- A case, at home ---------------------------------------------------------------------------------------------

# Memory and the list of operations of the case at esi.
prepare:
	movl %esi, v_case
	movl %esi, %ebp
	addl $c_bytes, %esi
	movl v_arena, %edi
	movl v_arena_words, %ecx
	xorl %eax, %eax
	rep stosl
	movl c_pokes(%ebp), %ecx
1:	decl %ecx
	js 2f
	lodsl
	movl %eax, %edi
	movsl
	movsl
	jmp 1b
2:	movl c_operations(%ebp), %ecx
	shll $5, %ecx
	leal OPERATIONS(%ecx), %eax
	movl %eax, v_operations_end
	shrl $2, %ecx
	movl $OPERATIONS, %edi
	movl %edi, v_operation
	movl $RESULTS, v_result
	rep movsl
	movl %esi, v_script
	movl v_arena, %esi
	movl v_snapshot, %edi
	movl v_arena_words, %ecx
	rep movsl
	ret

# Results, changed words of the arena, and the words asked for.
report:
	movl v_case, %ebp
	movl $0x45534143, v_word             # "CASE"
	call send_word
	leal c_number(%ebp), %esi
	movl $4, %ecx
	call send
	movl v_result, %ecx
	subl $RESULTS, %ecx
	movl %ecx, v_word
	pushl %ecx
	call send_word
	popl %ecx
	movl $RESULTS, %esi
	call send

	movl v_arena, %esi
	movl v_snapshot, %edi
	movl v_arena_words, %ecx
1:	repe cmpsl
	je 2f
	pushl %ecx
	pushl %esi
	subl $4, %esi
	movl %esi, v_word
	pushl %esi
	call send_word
	popl %esi
	movl $4, %ecx
	call send
	popl %esi
	popl %ecx
	jecxz 2f
	jmp 1b
2:	movl $-1, v_word
	call send_word

	movl v_script, %esi
	movl c_peeks(%ebp), %ecx
1:	decl %ecx
	js 2f
	lodsl
	pushl %ecx
	pushl %esi
	movl %eax, %esi
	movl $8, %ecx
	call send
	popl %esi
	popl %ecx
	jmp 1b
2:	movl %esi, v_script
	ret

# Switches the case's paging on and performs its operations. Returns from leave.
run:
	movl v_case, %ebp
	movl $leave, v_after
	movb $0x89, gdt_tss32 + 5            # available again
	movb $0x89, gdt_tss64 + 5
	movl c_cr4(%ebp), %eax
	andl $~CR4_PCIDE, %eax               # only in long mode
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	movl c_efer(%ebp), %eax
	xorl %edx, %edx
	wrmsr
	movl c_cr3(%ebp), %eax
	testl $CR4_PCIDE, c_cr4(%ebp)
	jz 1f
	andl $0xfffff000, %eax               # must be so while CR4.PCIDE is being set
1:	movl %eax, %cr3
	movl c_cr4(%ebp), %eax
	testl $CASE_PKU, c_flags(%ebp)
	jz 2f
	orl $CR4_PKE, %eax                   # for WRPKRU
	movl %eax, %cr4
	xorl %ecx, %ecx
	xorl %edx, %edx
	movl c_pkru(%ebp), %eax
	wrpkru
	movl c_cr4(%ebp), %eax
	andl $~CR4_PCIDE, %eax
	movl %eax, %cr4
2:	testl $CASE_PKS, c_flags(%ebp)
	jz 3f
	movl $MSR_PKRS, %ecx
	xorl %edx, %edx
	movl c_pkrs(%ebp), %eax
	wrmsr
3:	movl c_cr3(%ebp), %ebx
	movl c_cr3 + 4(%ebp), %ecx
	movl c_cr4(%ebp), %edx
	movl %edx, v_cr4
	movl c_flags(%ebp), %esi
	movl c_cr0(%ebp), %eax
	movl $4f, v_start
	testl $CASE_64BIT, %esi
	jnz 5f
4:	movl %eax, %cr0
	movw $SELECTOR_TSS32, %ax
	ltr %ax
	movl $next32, v_after
	jmp next32
5:	movl %eax, %cr0
	ljmp $CODE64, $long_mode

	.code64
long_mode:
	lidt idtr64
	movq $leave64, v_after
	movl %ebx, %ebx                      # the switch leaves bits 63:32 undefined
	movl %ecx, %ecx
	movw $SELECTOR_TSS64, %ax
	ltr %ax
	movl v_cr4, %eax
	movq %rax, %cr4
	shlq $32, %rcx
	orq %rcx, %rbx
	movq %rbx, %cr3
	movq $next64, v_after
	jmp next64

leave64:
	movq %cr4, %rax
	andl $~CR4_PCIDE, %eax
	movq %rax, %cr4
	pushq $CODE32
	pushq $leave
	lretq

	.code32
leave:
	movl %cr0, %eax
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	movl $MSR_EFER, %ecx
	xorl %eax, %eax
	xorl %edx, %edx
	wrmsr
	movl %eax, %cr4
	movw $DATA, %ax
	movw %ax, %ss
	movw $USER_DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	lidt idtr32
	movl $0, v_start
	movl $panic, v_after
	movl $STACK - 4, %esp                # where run was called from
	ret

# --- Operations in 32-bit code -----------------------------------------------------------------------------------

next32:
	movl $CASE_STACK, %esp
	movl v_operation, %esi
	cmpl v_operations_end, %esi
	jae leave
	addl $OPERATION_BYTES, v_operation
	movl $0, v_start
	testb $FLAG_FLUSH, o_flags(%esi)
	jz 1f
	movl %cr3, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	testl $CR4_PGE, %eax
	jz 1f
	xorl $CR4_PGE, %eax
	movl %eax, %cr4
	xorl $CR4_PGE, %eax
	movl %eax, %cr4
1:	movl o_value(%esi), %eax
	movl o_address(%esi), %edx
	movzbl o_code(%esi), %ebx
	jmp *operations32(,%ebx,4)

operations32:
	.long access32, fetch32, store8_32, store4_32, invlpg32
	.long cr0_32, cr3_32, cr4_32, pkru32, msr32, invpcid32

access32:
	movzwl o_stub(%esi), %eax
	addl $stubs32, %eax
	testb $FLAG_USER, o_flags(%esi)
	jz go32
	addl $USER_STUBS - WINDOW, %eax
	jmp go32
fetch32:
	movl %edx, %eax
go32:
	movl %eax, v_start
	movl $UNTOUCHED_CR2, %ecx
	movl %ecx, %cr2
	movl $2, %ecx
	testb $FLAG_AC, o_flags(%esi)
	jz 1f
	orl $RFLAGS_AC, %ecx
1:	testb $FLAG_USER, o_flags(%esi)
	jz 2f
	pushl $USER_DATA
	pushl $0
	pushl %ecx
	pushl $USER_CODE32
	jmp 3f
2:	pushl %ecx
	pushl $CODE32
3:	pushl %eax
	movl %edx, %ebp
	movq o_value(%esi), %mm0
	movl o_value(%esi), %eax
	movl o_value + 4(%esi), %ebx
	iretl

	.macro attempt32 instruction:vararg
	movl $9f, v_start
9:	\instruction
	int $DONE
	.endm

store8_32:
	movq o_value(%esi), %mm0
	attempt32 movq %mm0, (%edx)
store4_32:
	attempt32 movl %eax, (%edx)
invlpg32:
	attempt32 invlpg (%edx)
cr0_32:
	attempt32 movl %eax, %cr0
cr3_32:
	attempt32 movl %eax, %cr3
cr4_32:
	attempt32 movl %eax, %cr4
pkru32:
	xorl %ecx, %ecx
	xorl %edx, %edx
	attempt32 wrpkru
msr32:
	movl o_selector(%esi), %ecx
	movl o_value + 4(%esi), %edx
	attempt32 wrmsr
invpcid32:
	movl o_selector(%esi), %eax
	attempt32 invpcid o_value(%esi), %eax

common32:
	movl v_result, %edi
	movl %eax, r_value(%edi)
	movl %ebx, r_value + 4(%edi)
	popl %eax
	movb %al, r_vector(%edi)
	popl %eax
	movw %ax, r_error(%edi)
	popl %eax
	subl v_start, %eax
	movl %eax, r_distance(%edi)
	popl %eax
	andb $3, %al
	movb %al, r_from_cpl(%edi)
	movl %cr2, %eax
	movl %eax, r_cr2(%edi)
	movl $0, r_cr2 + 4(%edi)
	addl $RESULT_BYTES, v_result
	jmp *v_after

# --- Operations in 64-bit code -----------------------------------------------------------------------------------

	.code64
next64:
	movq $CASE_STACK, %rsp
	movq v_operation, %rsi
	cmpq v_operations_end, %rsi
	jae leave64
	addq $OPERATION_BYTES, v_operation
	movq $0, v_start
	testb $FLAG_FLUSH, o_flags(%rsi)
	jz 1f
	movq %cr3, %rax
	movq %rax, %cr3
	movq %cr4, %rax
	testl $CR4_PGE, %eax
	jz 1f
	xorl $CR4_PGE, %eax
	movq %rax, %cr4
	xorl $CR4_PGE, %eax
	movq %rax, %cr4
1:	movq o_value(%rsi), %rax
	movq o_address(%rsi), %rdx
	movzbl o_code(%rsi), %ebx
	jmp *operations64(,%rbx,8)

operations64:
	.quad access64, fetch64, store8_64, store4_64, invlpg64
	.quad cr0_64, cr3_64, cr4_64, pkru64, msr64, invpcid64

access64:
	movzwl o_stub(%rsi), %eax
	addl $stubs64, %eax
	testb $FLAG_USER, o_flags(%rsi)
	jz go64
	addl $USER_STUBS - WINDOW, %eax
	jmp go64
fetch64:
	movq %rdx, %rax
go64:
	movq %rax, v_start
	movl $UNTOUCHED_CR2, %ecx
	movq %rcx, %cr2
	movl $2, %ecx
	testb $FLAG_AC, o_flags(%rsi)
	jz 1f
	orl $RFLAGS_AC, %ecx
1:	testb $FLAG_USER, o_flags(%rsi)
	jz 2f
	pushq $USER_DATA
	pushq $0
	pushq %rcx
	pushq $USER_CODE64
	jmp 3f
2:	movq %rsp, %rbx
	pushq $DATA
	pushq %rbx
	pushq %rcx
	pushq $CODE64
3:	pushq %rax
	movq %rdx, %rbp
	movq o_value(%rsi), %rax
	iretq

	.macro attempt64 instruction:vararg
	movq $9f, v_start
9:	\instruction
	int $DONE
	.endm

store8_64:
	attempt64 movq %rax, (%rdx)
store4_64:
	attempt64 movl %eax, (%rdx)
invlpg64:
	attempt64 invlpg (%rdx)
cr0_64:
	attempt64 movq %rax, %cr0
cr3_64:
	attempt64 movq %rax, %cr3
cr4_64:
	attempt64 movq %rax, %cr4
pkru64:
	xorl %ecx, %ecx
	xorl %edx, %edx
	attempt64 wrpkru
msr64:
	movl o_selector(%rsi), %ecx
	movl o_value + 4(%rsi), %edx
	attempt64 wrmsr
invpcid64:
	movl o_selector(%rsi), %eax
	attempt64 invpcid o_value(%rsi), %rax

common64:
	movq v_result, %rdi
	movq %rax, r_value(%rdi)
	popq %rax
	movb %al, r_vector(%rdi)
	popq %rax
	movw %ax, r_error(%rdi)
	popq %rax
	subq v_start, %rax
	movl %eax, r_distance(%rdi)
	popq %rax
	andb $3, %al
	movb %al, r_from_cpl(%rdi)
	movq %cr2, %rax
	movq %rax, r_cr2(%rdi)
	addq $RESULT_BYTES, v_result
	jmp *v_after

# --- Handlers: 16 bytes each, for vectors 0 to 31 and then 0x80 --------------------------------------------------

	.macro handler vector, common
	.balign 16
	.ifeq (\vector - 8) * (\vector - 10) * (\vector - 11) * (\vector - 12) * (\vector - 13) * (\vector - 14) * (\vector - 17)
	.else
	push $0                              # no error code
	.endif
	.byte 0x68                           # push imm32, in either mode
	.long \vector
	jmp \common
	.endm

	.code32
	.balign 16
handlers32:
	.set vector, 0
	.rept 32
	handler vector, common32
	.set vector, vector + 1
	.endr
	handler DONE, common32

	.code64
	.balign 16
handlers64:
	.set vector, 0
	.rept 32
	handler vector, common64
	.set vector, vector + 1
	.endr
	handler DONE, common64

# --- Where the processor starts ----------------------------------------------------------------------------------

	.org IMAGE_BYTES - 16
	.code16
	jmp start16
	.org IMAGE_BYTES
