/* Counts the guest's instructions: a plugin for qemu-user. System call 4242 with a tag as its first
 * argument writes the tag and the count so far to the log. */
#include <glib.h>
#include <inttypes.h>
#include <qemu-plugin.h>

#define MARK 4242

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;
static struct qemu_plugin_scoreboard *board;
static qemu_plugin_u64 count; /* one a thread, so that none is lost */

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++)
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            qemu_plugin_tb_get_insn(block, i), QEMU_PLUGIN_INLINE_ADD_U64, count, 1);
}

static void called(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t tag, uint64_t b,
                   uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    if (number != MARK)
        return;
    g_autofree char *line =
        g_strdup_printf("%" PRId64 " %" PRIu64 "\n", (int64_t)tag, qemu_plugin_u64_sum(count));
    qemu_plugin_outs(line);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv) {
    board = qemu_plugin_scoreboard_new(sizeof(uint64_t));
    count = qemu_plugin_scoreboard_u64(board);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
