#include "sweep/drain.h"

#include <signal.h>
#include <stdatomic.h>

static atomic_int requested; /* lock-free, so a signal handler may write it */

static void on_signal(int signal_number) {
    (void)signal_number;
    requested = 1;
}

slao_status slao_drain_watch(void) {
    static const struct {
        int signal_number, flags;
    } watched[] = {
        {SIGUSR1, SA_RESTART}, /* schedulers may repeat it */
        {SIGTERM, SA_RESTART | (int)SA_RESETHAND},
        {SIGINT, SA_RESTART | (int)SA_RESETHAND},
    };
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = watched[i].flags};
        if (sigemptyset(&action.sa_mask) != 0 ||
            sigaction(watched[i].signal_number, &action, NULL) != 0)
            return slao_fail_errno(SLAO_BROKEN, "cannot watch for signal %d",
                                   watched[i].signal_number);
    }
    return SLAO_OK;
}

void slao_drain_request(void) {
    requested = 1;
}

bool slao_drain_requested(void) {
    return requested != 0;
}
