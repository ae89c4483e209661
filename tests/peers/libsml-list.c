/* Prints what libsml reads in an SML file: one line an entry of a GetList.Res, "obis unit scaler value". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sml/sml_file.h>
#include <sml/sml_value.h>

static void print_octets(const octet_string *octets) {
	if (!octets) {
		printf("-");
		return;
	}
	for (int i = 0; i < octets->len; i++) printf("%02x", octets->str[i]);
}

static void print_value(const sml_value *value) {
	/* An octet string of no octets, as SML writes what is absent. */
	if (!value) {
		printf("-");
		return;
	}
	switch (value->type) {
	case SML_TYPE_OCTET_STRING: print_octets(value->data.bytes); break;
	case SML_TYPE_BOOLEAN: printf("%s", *value->data.boolean ? "true" : "false"); break;
	case SML_TYPE_INTEGER | SML_TYPE_NUMBER_8: printf("%" PRId8, *value->data.int8); break;
	case SML_TYPE_INTEGER | SML_TYPE_NUMBER_16: printf("%" PRId16, *value->data.int16); break;
	case SML_TYPE_INTEGER | SML_TYPE_NUMBER_32: printf("%" PRId32, *value->data.int32); break;
	case SML_TYPE_INTEGER | SML_TYPE_NUMBER_64: printf("%" PRId64, *value->data.int64); break;
	case SML_TYPE_UNSIGNED | SML_TYPE_NUMBER_8: printf("%" PRIu8, *value->data.uint8); break;
	case SML_TYPE_UNSIGNED | SML_TYPE_NUMBER_16: printf("%" PRIu16, *value->data.uint16); break;
	case SML_TYPE_UNSIGNED | SML_TYPE_NUMBER_32: printf("%" PRIu32, *value->data.uint32); break;
	case SML_TYPE_UNSIGNED | SML_TYPE_NUMBER_64: printf("%" PRIu64, *value->data.uint64); break;
	default: printf("type %02x", value->type);
	}
}

int main(int argc, char **argv) {
	static unsigned char octets[65536];
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
	if (!file) return 2;
	size_t length = fread(octets, 1, sizeof octets, file);
	fclose(file);
	if (length < 16) return 1;
	sml_file *sml = sml_file_parse(octets + 8, length - 16);
	for (int i = 0; i < sml->messages_len; i++) {
		sml_message *message = sml->messages[i];
		if (!message || !message->message_body) return 1;
		printf("message %04x\n", (unsigned) *message->message_body->tag);
		if (*message->message_body->tag != SML_MESSAGE_GET_LIST_RESPONSE) continue;
		sml_get_list_response *list = message->message_body->data;
		printf("serverId ");
		print_octets(list->server_id);
		printf("\nlistName ");
		print_octets(list->list_name);
		if (list->act_sensor_time) printf("\ntime %" PRIu32, *list->act_sensor_time->data.sec_index);
		printf("\n");
		for (sml_list *entry = list->val_list; entry; entry = entry->next) {
			print_octets(entry->obj_name);
			printf(" %d %d ", entry->unit ? *entry->unit : -1, entry->scaler ? *entry->scaler : 0);
			print_value(entry->value);
			printf("\n");
		}
		printf("signature ");
		print_octets(list->list_signature);
		printf("\n");
	}
	sml_file_free(sml);
	return 0;
}
