#include "linalg/team.h"

int slao_team_size(const slao_team *team) {
    return team ? team->size : 1;
}

bool slao_team_leads(const slao_team *team) {
    return !team || team->member == 0;
}

int64_t slao_team_begin(const slao_team *team, int64_t count, int member) {
    int64_t size = slao_team_size(team);
    return count / size * member + count % size * member / size;
}

void slao_team_part(const slao_team *team, int64_t count, int64_t *from, int64_t *to) {
    int member = team ? team->member : 0;
    *from = slao_team_begin(team, count, member);
    *to = slao_team_begin(team, count, member + 1);
}

slao_status slao_team_agree(slao_team *team, slao_status status) {
    if (slao_team_size(team) == 1)
        return status;
    status = team->calls->agree(team, status);
    team->failed = status != SLAO_OK;
    return status;
}

slao_status slao_team_sum(slao_team *team, slao_status status, float *values, size_t count,
                          double *number) {
    return slao_team_size(team) == 1 ? status
                                     : team->calls->sum(team, status, values, count, number);
}

slao_status slao_team_gather(slao_team *team, slao_status status, void *bytes,
                             const size_t *starts) {
    return slao_team_size(team) == 1 ? status : team->calls->gather(team, status, bytes, starts);
}

slao_status slao_team_share(slao_team *team, slao_status status, void *bytes, size_t count) {
    return slao_team_size(team) == 1 ? status : team->calls->share(team, status, bytes, count);
}

slao_status slao_team_orthonormal_rows(slao_team *team, slao_status status, float *a, int64_t r,
                                       int64_t n, slao_qr_sign sign, float *r_factor) {
    if (team)
        return team->calls->orthonormal_rows(team, status, a, r, n, sign, r_factor);
    SLAO_TRY(status);
    return slao_orthonormal_rows(a, r, n, sign, r_factor);
}

bool slao_team_decomposes(const slao_team *team, int64_t r, int64_t n) {
    enum { COLUMNS = 1024, TALL = 4 };
    return slao_team_size(team) > 1 && r >= COLUMNS && n <= TALL * r;
}

slao_status slao_team_end(slao_team *team, slao_status status) {
    if (!team)
        return status;
    if (!team->failed)
        status = slao_team_agree(team, status);
    team->failed = false;
    return status;
}
