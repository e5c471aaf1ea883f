#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static slao_status open_for_reading(int *fd, struct stat *facts, const char *path) {
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot open %s", path);
    if (fstat(*fd, facts) != 0 || !S_ISREG(facts->st_mode)) {
        close(*fd);
        return slao_fail(SLAO_BAD_INPUT, "%s is not a regular file", path);
    }
    return SLAO_OK;
}

slao_status slao_map_file(slao_mapping *mapping, const char *path) {
    *mapping = (slao_mapping){0};
    int fd;
    struct stat facts = {0};
    SLAO_TRY(open_for_reading(&fd, &facts, path));
    size_t size = (size_t)facts.st_size;
    if (size == 0) {
        close(fd);
        return SLAO_OK;
    }
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    slao_status status = SLAO_OK;
    if (bytes == MAP_FAILED)
        status = slao_fail_errno(SLAO_BAD_INPUT, "cannot map %s", path);
    else
        *mapping = (slao_mapping){.bytes = bytes,
                                  .size = size,
                                  .device = (int64_t)facts.st_dev,
                                  .inode = (int64_t)facts.st_ino,
                                  .seconds = facts.st_mtim.tv_sec,
                                  .nanoseconds = facts.st_mtim.tv_nsec};
    close(fd); /* the mapping outlives it */
    return status;
}

void slao_unmap_file(slao_mapping *mapping) {
    if (mapping->bytes)
        munmap((void *)(uintptr_t)mapping->bytes, mapping->size);
    *mapping = (slao_mapping){0};
}

void slao_let_go(const void *bytes, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)bytes;
    uintptr_t first = (begin + page - 1) / page * page, end = (begin + size) / page * page;
    if (first < end) /* an advice: where the system does not follow it, nothing else changes */
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

slao_status slao_read_text(char **text, size_t *size, const char *path) {
    *text = NULL;
    slao_mapping mapping;
    SLAO_TRY(slao_map_file(&mapping, path));
    slao_status status = slao_allocate(text, mapping.size + 1, 1);
    if (status == SLAO_OK && mapping.size)
        memcpy(*text, mapping.bytes, mapping.size);
    if (size)
        *size = mapping.size;
    slao_unmap_file(&mapping);
    return status;
}

slao_status slao_temporary_name(char **temporary, const char *path) {
    char host[64] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot tell this host's name");
    return slao_format(temporary, "%s.%s.%ld.tmp", path, host, (long)getpid());
}

static slao_status sync_folder_of(const char *path) {
    char *folder;
    SLAO_TRY(slao_copy_text(&folder, path));
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    slao_status status = SLAO_OK;
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) /* EINVAL: a file system without it */
        status = slao_fail_errno(SLAO_BROKEN, "cannot sync the folder %s", slash ? folder : ".");
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}

static slao_status sync_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return slao_fail_errno(SLAO_BROKEN, "cannot open %s", path);
    slao_status status = SLAO_OK;
    if (fsync(fd) != 0)
        status = slao_fail_errno(SLAO_BROKEN, "cannot write %s to disk", path);
    close(fd);
    return status;
}

slao_status slao_publish_file(const char *temporary, const char *path) {
    slao_status status = sync_file(temporary);
    if (status == SLAO_OK && rename(temporary, path) != 0)
        status = slao_fail_errno(SLAO_BAD_INPUT, "cannot rename %s to %s", temporary, path);
    if (status != SLAO_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder_of(path);
}

static slao_status write_all(const char *path, const char *bytes, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return slao_fail_errno(SLAO_BAD_INPUT, "cannot create %s", path);
    slao_status status = SLAO_OK;
    while (size > 0 && status == SLAO_OK) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR)
            status = slao_fail_errno(SLAO_BROKEN, "cannot write %s", path);
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
    if (close(fd) != 0 && status == SLAO_OK)
        status = slao_fail_errno(SLAO_BROKEN, "cannot write %s", path);
    return status;
}

slao_status slao_write_file(const char *path, const void *bytes, size_t size) {
    char *temporary;
    SLAO_TRY(slao_temporary_name(&temporary, path));
    slao_status status = write_all(temporary, bytes, size);
    if (status == SLAO_OK)
        status = slao_publish_file(temporary, path);
    else
        unlink(temporary);
    free(temporary);
    return status;
}

slao_status slao_make_folders(const char *path) {
    char *prefix;
    SLAO_TRY(slao_copy_text(&prefix, path));
    slao_status status = SLAO_OK;
    for (char *end = prefix + 1; status == SLAO_OK; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        char kept = *end;
        *end = '\0';
        if (mkdir(prefix, 0777) != 0 && errno != EEXIST)
            status = slao_fail_errno(SLAO_BAD_INPUT, "cannot create the folder %s", prefix);
        *end = kept;
        if (kept == '\0')
            break;
    }
    if (status == SLAO_OK && !slao_is_folder(path))
        status = slao_fail(SLAO_BAD_INPUT, "%s is there, but is not a folder", path);
    free(prefix);
    return status;
}

static mode_t mode_of(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 ? facts.st_mode : 0;
}

bool slao_is_file(const char *path) {
    return S_ISREG(mode_of(path));
}

bool slao_is_folder(const char *path) {
    return S_ISDIR(mode_of(path));
}

slao_status slao_join_path(char **path, const char *folder, const char *name) {
    return slao_format(path, "%s/%s", folder, name);
}
