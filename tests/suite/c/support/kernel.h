/*
 * An older kernel, simulated.
 */

#ifndef KERNEL_H
#define KERNEL_H

/* From now on this process has what Linux 3.2 had: system calls that came
   later fail with ENOSYS, socket options that came later with ENOPROTOOPT.
   x86-64 only. */
void become_linux_3_2(void);

#endif /* KERNEL_H */
