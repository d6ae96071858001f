#ifndef MM_SERVER_EXAM_H
#define MM_SERVER_EXAM_H

#include "doctor/doctor.h"
#include "server/rest.h"

/* GET /doctor: what its looks share. */
struct exam {
	struct mm_rest *r;
	struct mm_findings *f;
	struct mm_core_stats st;
	bool deep;
};
/* rest_doctor_upstream.c */
void mm_exam_upstream(struct exam *e);
/* rest_doctor_groups.c */
void mm_exam_groups(struct exam *e);
/* rest_mail.c */
void mm_exam_mail(struct exam *e);
/* rest_doctor_devconf.c */
void mm_exam_configurations(struct exam *e);

#endif
