/* Preloaded into PostgreSQL's programs that create a cluster: gives the uid that they run as a name.
 *
 * They ask the C library for it, use it for nothing of ours, and end if there is none. A container may run as any uid
 * (`docker run --user 1000`), of which its /etc/passwd knows nothing.
 */
#include <pwd.h>

struct passwd *getpwuid(uid_t uid)
{
    static char name[] = "deepoj", empty[] = "", home[] = "/", shell[] = "/bin/false";
    static struct passwd entry;

    entry = (struct passwd){.pw_name = name, .pw_passwd = empty, .pw_uid = uid, .pw_gid = (gid_t)uid,
                            .pw_gecos = empty, .pw_dir = home, .pw_shell = shell};
    return &entry;
}
