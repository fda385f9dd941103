// SPDX-License-Identifier: Apache-2.0
#include "shim/pin.h"

#include <linux/magic.h>
#include <sys/vfs.h>

bool cbpf_in_bpf_file_system(const char *path)
{
	struct statfs information;

	return statfs(path, &information) == 0 && (unsigned long)information.f_type == BPF_FS_MAGIC;
}
