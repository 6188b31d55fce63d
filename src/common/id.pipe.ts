import { Injectable, type PipeTransform } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { ApiError } from './api-error';

/** An id in a path. What cannot be one names nothing. @throws ApiError NOT_FOUND */
@Injectable()
export class IdPipe implements PipeTransform<string, string> {
  transform(value: string): string {
    if (!isUUID(value)) throw new ApiError('NOT_FOUND');
    return value.toLowerCase();
  }
}
