#include "line/qr.h"

#include <errno.h>
#include <png.h>
#include <qrencode.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"

#define QUIET  4 /* modules around it */
#define PIXELS 8 /* a module's */

static void
code_free(QRcode **owner)
{
	QRcode *c = *owner;

	if (c == NULL)
		return;
	mm_wipe(c->data, (size_t)c->width * (size_t)c->width);
	QRcode_free(c);
	*owner = NULL;
}

static enum mm_err
encode(const char *text, QRcode **out, struct mm_why *why)
{
	*out = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
	if (*out != NULL)
		return MM_OK;
	return errno == ERANGE
	    ? MM_FAIL(why, MM_ELIMIT, "qr: the text is too long for a code")
	    : MM_FAIL(why, MM_ENOMEM, "qr: out of memory");
}

/* Places count from the quiet zone's corner. */
static bool
dark(const QRcode *c, int x, int y)
{
	x -= QUIET;
	y -= QUIET;
	return x >= 0 && y >= 0 && x < c->width && y < c->width &&
	    (c->data[y * c->width + x] & 1) != 0;
}

/* see qr.h */
enum mm_err
mm_qr_blocks(const char *text, struct mm_buf *out, struct mm_why *why)
{
	static const char *const half[] = { " ", "\u2580", "\u2584",
		"\u2588" };
	MM_OWN(code_free) QRcode *c = NULL;
	int side;

	MM_TRY(encode(text, &c, why));
	side = c->width + 2 * QUIET;
	for (int y = 0; y < side; y += 2) {
		mm_buf_text(out, "\033[38;5;16;48;5;231m");
		for (int x = 0; x < side; x++)
			mm_buf_text(out,
			    half[dark(c, x, y) + 2 * dark(c, x, y + 1)]);
		mm_buf_text(out, "\033[0m\n");
	}
	return mm_buf_ok(out, why);
}

/* see qr.h */
enum mm_err
mm_qr_svg(const char *text, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(code_free) QRcode *c = NULL;
	int side;

	MM_TRY(encode(text, &c, why));
	side = c->width + 2 * QUIET;
	mm_buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" "
	    "viewBox=\"0 0 %d %d\" role=\"img\" "
	    "shape-rendering=\"crispEdges\"><title>QR code</title>"
	    "<path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path d=\"", side, side,
	    side, side);
	for (int y = 0; y < side; y++)
		for (int x = 0, n; x < side; x += n) {
			for (n = 0; dark(c, x + n, y); n++)
				continue;
			if (n > 0)
				mm_buf_printf(out, "M%d %dh%dv1h-%dz", x, y,
				    n, n);
			n += n == 0;
		}
	mm_buf_text(out, "\"/></svg>");
	return mm_buf_ok(out, why);
}

/* ---- PNG ---- */

static void
draw(const QRcode *c, int side, uint8_t *pixel)
{
	for (int y = 0; y < side; y++)
		for (int x = 0; x < side; x++)
			pixel[y * side + x] = dark(c, x / PIXELS, y / PIXELS)
			    ? 0 : 255;
}

static enum mm_err
compress(const uint8_t *pixel, int side, struct mm_buf *out,
    struct mm_why *why)
{
	png_image image = { .version = PNG_IMAGE_VERSION,
		.width = (png_uint_32)side, .height = (png_uint_32)side,
		.format = PNG_FORMAT_GRAY };
	png_alloc_size_t n = MM_QR_PNG_MAX;
	size_t before = out->n;
	uint8_t *room = mm_buf_room(out, MM_QR_PNG_MAX);

	if (room == NULL)
		return mm_buf_ok(out, why);
	if (png_image_write_to_memory(&image, room, &n, 0, pixel, 0, NULL) ==
	    0)
		return MM_FAIL(why, MM_ESYS, "qr: %.64s", image.message);
	out->n = before + n;
	return MM_OK;
}

/* see qr.h */
enum mm_err
mm_qr_png(const char *text, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(code_free) QRcode *c = NULL;
	uint8_t *pixel;
	enum mm_err rc;
	size_t n;
	int side;

	MM_TRY(encode(text, &c, why));
	side = (c->width + 2 * QUIET) * PIXELS;
	n = (size_t)side * (size_t)side;
	pixel = malloc(n);
	if (pixel == NULL)
		return MM_FAIL(why, MM_ENOMEM, "qr: out of memory");
	draw(c, side, pixel);
	rc = compress(pixel, side, out, why);
	mm_wipe(pixel, n);
	free(pixel);
	return rc;
}
