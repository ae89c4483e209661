/* Times libsml: parses the file argv[1] argv[2] times and writes it as often; prints nanoseconds each of parse and write. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sml/sml_file.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
	static unsigned char octets[65536];
	FILE *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
	if (!file) return 2;
	size_t length = fread(octets, 1, sizeof octets, file);
	fclose(file);
	int turns = atoi(argv[2]);
	double start = now();
	for (int i = 0; i < turns; i++) sml_file_free(sml_file_parse(octets + 8, length - 16));
	double parsed = now();
	/* What it writes is freed with the file, so parsing is in the second loop as well and taken off. */
	for (int i = 0; i < turns; i++) {
		sml_file *sml = sml_file_parse(octets + 8, length - 16);
		sml->buf = sml_buffer_init(4096);
		sml_file_write(sml);
		sml_file_free(sml);
	}
	printf("%f %f\n", (parsed - start) / turns, (now() - parsed - (parsed - start)) / turns);
	return 0;
}
