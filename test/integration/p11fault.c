/*
 * A PKCS#11 module that is SoftHSM's but for what a test asks of it.  The file
 * that P11FAULT names holds a word, which the next signature takes away:
 *
 *   session   the token closes all sessions, as one does that was reset
 *   hang      it never answers
 *   crash     the process dies in it
 *   flip      a bit of the signature is another one
 *
 * Every login is a byte in the file that P11LOGINS names.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#define REAL "/usr/lib/softhsm/libsofthsm2.so"

static CK_FUNCTION_LIST ours;
static CK_FUNCTION_LIST *real;

static void
take_word(char word[16])
{
	const char *path = getenv("P11FAULT");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, word, 15);

	word[n > 0 ? n : 0] = '\0';
	if (fd < 0)
		return;
	(void)close(fd);
	(void)unlink(path);
}

static CK_RV
login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG n)
{
	const char *path = getenv("P11LOGINS");
	int fd = path == NULL ? -1 :
	    open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)!write(fd, ".", 1);
		(void)close(fd);
	}
	return real->C_Login(s, user, pin, n);
}

static CK_RV
sign(CK_SESSION_HANDLE s, CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR sig,
    CK_ULONG_PTR n)
{
	CK_SESSION_INFO info;
	char word[16];
	CK_RV rv;

	take_word(word);
	if (strcmp(word, "hang") == 0)
		for (;;)
			pause();
	if (strcmp(word, "crash") == 0)
		abort();
	if (strcmp(word, "session") == 0 &&
	    real->C_GetSessionInfo(s, &info) == CKR_OK)
		(void)real->C_CloseAllSessions(info.slotID);
	rv = real->C_Sign(s, in, in_n, sig, n);
	if (strcmp(word, "flip") == 0 && rv == CKR_OK)
		sig[*n / 2] ^= 1;
	return rv;
}

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
	CK_C_GetFunctionList get = NULL;
	void *so = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);

	if (so == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&get = dlsym(so, "C_GetFunctionList");
	if (get == NULL || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	ours = *real;
	ours.C_Login = login;
	ours.C_Sign = sign;
	*out = &ours;
	return CKR_OK;
}
