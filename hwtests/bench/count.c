/*
 * A TCG plugin of QEMU: how many instructions a program executes for each frame.
 *
 * Counts exactly, each instruction before it runs, user and kernel apart, between the marks of marks.h. From
 * MARK_START on every MARK_FRAME notes both counts; at MARK_STOP one line of JSON goes to the file that "out=" names:
 *
 *     {"user": [...], "kernel": [...], "others": [...], "others_kernel": [...], "calls": [...], "switches": [...]}
 *
 * each with one number per frame but the first: from the frame before to this one. What runs between MARK_ENTER and
 * MARK_LEAVE (the shim) is not counted; "calls" is how often that happened. A MARK_PROCESS gives a line "process".
 *
 * Under qemu-user there is no kernel part. In a whole machine (one virtual processor) instructions are told apart by
 * task: the scheduler's __switch_to_asm loads the next task's stack pointer from its task_struct by the one
 * instruction of its kind, "mov disp32(%rsi),%rsp", and the address that it loads from is as good as the task's name.
 * "user" and "kernel" are those of the threads that executed MARK_START and MARK_FRAME, interrupts that hit them
 * included; "others" and "others_kernel" are what all others execute, a client's further threads and the driver's among
 * them; "switches" from one task to another.
 *
 * Debian ships no qemu-plugin.h; what is used of the API (version 1, QEMU 4.2 and later) is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0 };     /* enum qemu_plugin_cb_flags */
enum { MEM_RW = 3 };         /* enum qemu_plugin_mem_rw */
enum { INLINE_ADD_U64 = 0 }; /* enum qemu_plugin_op */

typedef void (*tb_trans_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*udata_cb)(unsigned int vcpu, void *udata);
typedef void (*mem_cb)(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *udata);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_trans_cb);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, udata_cb, int flags, void *udata);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int op, void *ptr, uint64_t imm);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, mem_cb, int flags, int rw, void *udata);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *udata);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t index);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

#define FIRST_KERNEL_ADDRESS UINT64_C(0xffff800000000000)

struct counts {
	uint64_t user, kernel, others, others_kernel, calls, switches;
};

/* Written by translated code: everything that ran. */
static uint64_t ran_user, ran_kernel;

static struct counts now;               /* the marked task's, up to the last switch or mark */
static uint64_t seen_user, seen_kernel; /* what of ran_* is in it already */
static uint64_t task;                   /* who runs */
static uint64_t marked[8];              /* who is measured */
static unsigned marked_count;
static bool measuring, inside;

static struct counts *frames;
static size_t frame_count, frame_room;
static FILE *out;

static bool is_marked(void)
{
	for (unsigned i = 0; i < marked_count; i++)
		if (marked[i] == task)
			return true;
	return false;
}

static void mark_task(void)
{
	if (!is_marked() && marked_count < sizeof(marked) / sizeof(*marked))
		marked[marked_count++] = task;
}

/* Give what ran since the last time to whom it belongs. */
static void settle(void)
{
	if (measuring && !inside) {
		if (is_marked()) {
			now.user += ran_user - seen_user;
			now.kernel += ran_kernel - seen_kernel;
		} else {
			now.others += ran_user - seen_user;
			now.others_kernel += ran_kernel - seen_kernel;
		}
	}
	seen_user = ran_user;
	seen_kernel = ran_kernel;
}

static void note_frame(void)
{
	if (frame_count == frame_room) {
		frame_room = frame_room ? 2 * frame_room : 4096;
		frames = realloc(frames, frame_room * sizeof(*frames));
		if (!frames)
			abort();
	}
	frames[frame_count++] = now;
}

static void print_column(const char *name, size_t offset, const char *end)
{
	fprintf(out, "\"%s\": [", name);
	for (size_t i = 1; i < frame_count; i++) {
		uint64_t a = *(uint64_t *)((char *)&frames[i - 1] + offset);
		uint64_t b = *(uint64_t *)((char *)&frames[i] + offset);
		fprintf(out, "%s%" PRIu64, i > 1 ? "," : "", b - a);
	}
	fprintf(out, "]%s", end);
}

static void stop(void)
{
	if (!measuring)
		return;
	measuring = false;
	fputc('{', out);
	print_column("user", offsetof(struct counts, user), ", ");
	print_column("kernel", offsetof(struct counts, kernel), ", ");
	print_column("others", offsetof(struct counts, others), ", ");
	print_column("others_kernel", offsetof(struct counts, others_kernel), ", ");
	print_column("calls", offsetof(struct counts, calls), ", ");
	print_column("switches", offsetof(struct counts, switches), "}\n");
	fflush(out);
}

static void on_mark(unsigned int vcpu, void *udata)
{
	uintptr_t kind = (uintptr_t)udata;

	settle();
	switch (kind) {
	case MARK_START:
		stop(); /* one that never got to its STREAMOFF */
		marked_count = 0;
		mark_task();
		measuring = true;
		frame_count = 0;
		now = (struct counts){0};
		break;
	case MARK_STOP:
		stop();
		break;
	case MARK_FRAME:
		mark_task(); /* DQBUF may have a thread of its own */
		if (measuring)
			note_frame();
		break;
	case MARK_ENTER:
		now.calls += is_marked();
		inside = true;
		break;
	case MARK_PROCESS:
		stop(); /* of one that was killed */
		fputs("\"process\"\n", out);
		fflush(out);
		break;
	case MARK_AGAIN:
		inside = true;
		break;
	case MARK_LEAVE:
		inside = false;
		break;
	}
}

static void on_switch(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *udata)
{
	ran_kernel++;
	settle();
	task = vaddr;
	now.switches++;
}

static uintptr_t mark_of(const uint8_t *code, size_t size)
{
	static const uint8_t nop[] = {0x0f, 0x1f, 0x84, 0x00, 0x00};

	if (size != 8 || memcmp(code, nop, sizeof(nop)) || code[6] != (MARK_PREFIX & 0xff) || code[7] != MARK_PREFIX >> 8)
		return 0;
	return code[5];
}

static bool loads_stack_of_next_task(const uint8_t *code, size_t size)
{
	return size == 7 && code[0] == 0x48 && code[1] == 0x8b && code[2] == 0xa6;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);
		size_t size = qemu_plugin_insn_size(insn);
		bool kernel = qemu_plugin_insn_vaddr(insn) >= FIRST_KERNEL_ADDRESS;
		uintptr_t kind = mark_of(code, size);

		if (kind) /* is not counted itself */
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, CB_NO_REGS, (void *)kind);
		else if (kernel && loads_stack_of_next_task(code, size))
			/* QEMU 7.2 calls this neither for reads alone, nor where the instruction is counted inline, too. */
			qemu_plugin_register_vcpu_mem_cb(insn, on_switch, CB_NO_REGS, MEM_RW, NULL);
		else
			qemu_plugin_register_vcpu_insn_exec_inline(
				insn, INLINE_ADD_U64, kernel ? &ran_kernel : &ran_user, 1);
	}
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *udata)
{
	settle();
	stop();
	fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out) {
		fprintf(stderr, "count: say where to write, out=FILE\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
