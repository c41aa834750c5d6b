/* Put before the C library by the tests of faults: calls that fail, that lie, or that hang, chosen by TS_FAULT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is(const char *wanted) {
    const char *fault = getenv("TS_FAULT");
    return fault && strcmp(fault, wanted) == 0;
}

#define FAULTY(name, arguments, passed)                                   \
    int name arguments {                                                  \
        int (*real) arguments = (int(*) arguments)dlsym(RTLD_NEXT, #name); \
        if (is(#name "_fails")) {                                         \
            errno = EAGAIN;                                               \
            return -1;                                                    \
        }                                                                 \
        if (is(#name "_lies")) return 0;                                  \
        return real passed;                                               \
    }

FAULTY(setgroups, (size_t n, const gid_t *list), (n, list))
FAULTY(setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s))
FAULTY(setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s))

/* Only where somebody has become the user: before, the launcher asks who it is itself. */
#define FAULTY_LATER(name, arguments, passed)                             \
    int name arguments {                                                  \
        int (*real) arguments = (int(*) arguments)dlsym(RTLD_NEXT, #name); \
        if (is(#name "_fails") && geteuid() != 0) {                       \
            errno = EAGAIN;                                               \
            return -1;                                                    \
        }                                                                 \
        return real passed;                                               \
    }

FAULTY_LATER(getresuid, (uid_t *r, uid_t *e, uid_t *s), (r, e, s))
FAULTY_LATER(getresgid, (gid_t *r, gid_t *e, gid_t *s), (r, e, s))
FAULTY_LATER(getgroups, (int n, gid_t *list), (n, list))

/* A fault with a file goes on while that is there. */
static int goes_on(void) {
    const char *file = getenv("TS_FAULT_WHILE");
    return !file || access(file, F_OK) == 0;
}

int getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t len, struct passwd **result) {
    int (*real)(const char *, struct passwd *, char *, size_t, struct passwd **) = dlsym(RTLD_NEXT, "getpwnam_r");
    if (is("directory_hangs") && strncmp(name, "tsh", 3) == 0) sleep(600);
    if (is("directory_fails") && goes_on() && strncmp(name, "tsh", 3) == 0) return EIO;
    return real(name, entry, buffer, len, result);
}

/* The launcher can't have handles to processes; every other call goes on to the kernel. */
long syscall(long number, ...) {
    long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    if (number == SYS_pidfd_open && geteuid() == 0 && is("pidfd_fails")) {
        errno = EMFILE;
        return -1;
    }
    if (number == SYS_execveat && geteuid() != 0 && is("exec_hangs")) sleep(2);
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
