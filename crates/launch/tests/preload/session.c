/* A module of PAM that behaves badly, for the tests: what it does is its first argument, and when is the second
 * (account, credentials, open, close). Everything else succeeds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct message { int style; const char *text; };
struct answer { char *text; int code; };
struct conversation {
    int (*talk)(int, const struct message **, struct answer **, void *);
    void *data;
};
int pam_get_item(const void *handle, int item, const void **value);
int pam_putenv(void *handle, const char *pair);

enum { SUCCESS = 0, ACCOUNT_EXPIRED = 13, SESSION_ERROR = 14 };

static int say(void *handle, int style, const char *text) {
    const struct conversation *it = NULL;
    struct message message = {style, text};
    const struct message *list = &message;
    struct answer *answers = NULL;
    if (pam_get_item(handle, 5, (const void **)&it) != 0 || it == NULL) return SESSION_ERROR;
    int code = it->talk(1, &list, &answers, it->data);
    if (answers) { free(answers->text); free(answers); }
    return code;
}

static void *sleep_on(void *nothing) {
    for (;;) pause();
    return nothing;
}

/* Leaves behind in its process all that a careless module could. */
static void litter(void *handle) {
    pthread_t thread;
    int fd = open("/etc/shadow", O_RDONLY);
    dup2(fd, 77);
    pthread_create(&thread, NULL, sleep_on, NULL);
    for (int signal_number = 1; signal_number < 32; signal_number++) signal(signal_number, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setenv("LD_PRELOAD", "/evil.so", 1);
    setenv("LITTER", "1", 1);
    umask(0);
    if (chdir("/root") != 0) return;
    pam_putenv(handle, "TESSERA_JOB=evil");
    pam_putenv(handle, "XDG_RUNTIME_DIR=/evil");
    pam_putenv(handle, "HOME=/evil");
}

static void add_groups(int argc, const char **argv) {
    gid_t list[64];
    int len = getgroups(32, list);
    for (int i = 2; i < argc && len < 60; i++) list[len++] = (gid_t)atoi(argv[i]);
    setgroups(len, list);
}

static void have_groups(int count) {
    gid_t *list = calloc((size_t)count, sizeof *list);
    for (int i = 0; i < count; i++) list[i] = (gid_t)(1000000 + i);
    if (setgroups((size_t)count, list) != 0) _exit(96);
    free(list);
}

static void limit_files(rlim_t most) {
    struct rlimit limit = {most / 2, most};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(95);
}

static void write_limits(const char *path) {
    struct rlimit limit;
    FILE *file = fopen(path, "w");
    if (!file || getrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(94);
    fprintf(file, "%lu %lu", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    fclose(file);
}

static void move_to(const char *group) {
    char path[512];
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, "0", 1) != 1) _exit(99);
    close(fd);
}

static int act(void *handle, const char *now, int argc, const char **argv) {
    if (argc < 2 || strcmp(argv[1], now) != 0) return SUCCESS;
    const char *what = argv[0];
    if (strcmp(what, "crash") == 0) abort();
    if (strcmp(what, "hang") == 0) for (;;) pause();
    if (strcmp(what, "fail") == 0) return SESSION_ERROR;
    if (strcmp(what, "refuse") == 0) { say(handle, 3, "come back\non Monday"); return ACCOUNT_EXPIRED; }
    if (strcmp(what, "ask") == 0) return say(handle, 1, "Password: ");
    if (strcmp(what, "litter") == 0) litter(handle);
    if (strcmp(what, "groups") == 0) add_groups(argc, argv);
    if (strcmp(what, "many") == 0) have_groups(atoi(argv[2]));
    if (strcmp(what, "limit") == 0) limit_files((rlim_t)atoi(argv[2]));
    if (strcmp(what, "limits") == 0) write_limits(argv[2]);
    if (strcmp(what, "speak") == 0 && write(3, "hello", 5) != 5) _exit(93);
    if (strcmp(what, "move") == 0) move_to(argv[2]);
    if (strcmp(what, "namespace") == 0 && unshare(CLONE_NEWNS) != 0) _exit(98);
    if (strcmp(what, "nice") == 0 && setpriority(PRIO_PROCESS, 0, 5) != 0) _exit(97);
    if (strcmp(what, "flood") == 0) {
        static char text[70000];
        memset(text, 'x', sizeof text - 1);
        memcpy(text, "FLOOD=", 6);
        pam_putenv(handle, text);
    }
    return SUCCESS;
}

int pam_sm_authenticate(void *h, int flags, int argc, const char **argv) { return SUCCESS; }
int pam_sm_setcred(void *h, int flags, int argc, const char **argv) {
    return act(h, flags & 2 ? "credentials" : "delete", argc, argv);
}
int pam_sm_acct_mgmt(void *h, int flags, int argc, const char **argv) { return act(h, "account", argc, argv); }
int pam_sm_open_session(void *h, int flags, int argc, const char **argv) { return act(h, "open", argc, argv); }
int pam_sm_close_session(void *h, int flags, int argc, const char **argv) { return act(h, "close", argc, argv); }
