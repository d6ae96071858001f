/*
 * Runs a fuzz target over files and folders of seeds, so that what a fuzzer
 * once found stays found without one.  No seed at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t n;
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) != 0) {
		perror(path);
		exit(2);
	}
	/* Exactly as long as the input: a sanitizer sees one byte too far. */
	data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (data == NULL)
		exit(2);
	n = fread(data, 1, (size_t)st.st_size, f);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	fclose(f);
	return 1;
}

static int
replay_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[4096];
	int n = 0;

	if (dir == NULL) {
		perror(path);
		exit(2);
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n += replay_file(name);
	}
	closedir(dir);
	return n;
}

int
main(int argc, char **argv)
{
	struct stat st;
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ?
		    replay_folder(argv[i]) : replay_file(argv[i]);
	printf("%d seeds\n", n);
	return n > 0 ? 0 : 1;
}
