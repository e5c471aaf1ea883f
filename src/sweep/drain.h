/* Stopping on request: nothing new is started, what runs is finished, everything is written.
 *
 * USR1, TERM and INT ask for it once slao_drain_watch was called. A second TERM or INT ends the
 * process at once, as it would have without us.
 */
#ifndef SLAO_SWEEP_DRAIN_H
#define SLAO_SWEEP_DRAIN_H

#include "base/status.h"

slao_status slao_drain_watch(void);
void slao_drain_request(void); /* as a signal does; from any thread */
bool slao_drain_requested(void);

#endif
